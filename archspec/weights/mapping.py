"""Mapping files: another project's names of a network's tensors, as data.

A rule gives a foreign name and the portable one; words in braces stand for each of their values in
`where`, a list, or a mapping where the two differ:

>>> mapping = parse_mapping('''
... where: {n: [1, 2], role: {w: weight, b: bias}}
... rules: {"fc{n}.{role}": "dense.{n}.{role}"}
... ''')
>>> mapping.sources["dense.2.bias"].name, len(mapping.sources)
('fc2.b', 4)

In place of the portable name, a rule may say how the tensor lies in the file: `to` or `split`,
`transpose`, `rows`, `divide_by`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field, ValidationError

from archspec._files import read_bytes
from archspec.backend.file_tensor import FlatOrder
from archspec.diagnostics import Failure, Report, Source, did_you_mean, quote, reason
from archspec.frontend.pydantic_errors import report_validation_error, span_finder
from archspec.frontend.tree import Tree, YamlList, YamlMap, YamlScalar, describe_tree
from archspec.frontend.yaml import parse_yaml
from archspec.frontend.yaml_errors import decode
from archspec.ir.section import Section
from archspec.weights.mapping_rules import RuleExpansion, Sources

FOLDER = Path(__file__).parent / "mappings"
MAX_BYTES = 1 << 20


class MappingError(Failure):
    """A mapping that is unknown, or a file that cannot be read."""


class Rule(Section):
    """The portable name of a foreign tensor, and how it lies in its file."""

    to: str = Field(default="", description="The portable name.")
    split: list[str] = Field(
        default_factory=list[str],
        description="The portable names of several tensors that lie in one, along the outputs.",
    )
    transpose: Literal["in_out", "none"] | None = Field(
        default=None,
        description="`in_out` for [in, out] and [*kernel, in, out]; `none` for our layout.",
    )
    rows: FlatOrder | None = Field(
        default=None,
        description="The order in which a flatten or reshape beside the layer lists features.",
    )
    divide_by: str = Field(
        default="", description="A number, or the tensor of the file that holds it."
    )


class NameMapping(Section):
    """A mapping file: no foreign name and no portable one is given twice."""

    doc: str = Field(default="", description="Whose checkpoints it reads.")
    formats: list[str] = Field(
        default_factory=list[str],
        description="The kinds of file that it is tried for without being named.",
    )
    channels: Literal["rgb", "bgr"] | None = Field(
        default=None,
        description="The order of the input's channels that the weights were trained on.",
    )
    note: str = Field(default="", description="What whoever imports such a file should know.")
    prefix: str = Field(default="", description="What the file's names begin with, in every rule.")
    where: dict[str, list[str] | dict[str, str]] = Field(default_factory=dict[str, Any])
    rules: dict[str, Rule]
    ignored: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="Patterns of names that are no weights, each with the reason.",
    )


@dataclass(frozen=True)
class CheckedMapping:
    """A mapping, and where each portable tensor lies by it."""

    file: NameMapping
    sources: Sources


def shipped_mappings() -> dict[str, Path]:
    """Return the mappings that come with archspec, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find_mapping(name: str) -> CheckedMapping:
    """Return a mapping by its name, or from a file; raise `MappingError` or `SpecError`."""
    if name in shipped_mappings():
        return read_mapping(shipped_mappings()[name])
    if not Path(name).suffix:
        raise MappingError(
            f"unknown mapping {quote(name)}", did_you_mean(name, shipped_mappings(), "mappings")
        )
    return read_mapping(Path(name))


def read_mapping(path: Path) -> CheckedMapping:
    """Return the mapping in a file.

    Raise `MappingError` if it cannot be read, `SpecError` with everything wrong in it.
    """
    try:
        text = read_bytes(path, MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise MappingError(f"cannot read the mapping {quote(path)}: {reason(error)}") from error
    if len(text) > MAX_BYTES:
        raise MappingError(f"the mapping {quote(path)} has more than {MAX_BYTES // 2**20} MiB")
    report = Report()
    source = decode(text, str(path), report)
    report.raise_if_failed()
    assert source is not None
    return _parsed(source, report)


def parse_mapping(text: str) -> CheckedMapping:
    """Return the mapping in a text; raise `SpecError` with everything wrong in it."""
    return _parsed(Source("mapping", text), Report())


def _parsed(source: Source, report: Report) -> CheckedMapping:
    if not re.sub(r"(?m)#.*$", "", source.text).strip():
        report.stop("AS0201", source.start, "the mapping is empty", help=_SHAPE_HELP)
    tree = parse_yaml(source, report)
    report.raise_if_failed()
    if not isinstance(tree, YamlMap):
        span = tree.span if tree else source.start
        message = f"a mapping file is a mapping of keys, found {describe_tree(tree)}"
        report.stop("AS0204", span, message, help=_SHAPE_HELP)
    span_of = span_finder(tree)
    try:
        mapping = NameMapping.model_validate(_with_whole_rules(_names_as_text(tree)))
    except ValidationError as error:

        def fail(code: str, span: Any, message: str, help: str) -> None:
            report.error(code, span, message, help=help)

        report_validation_error(error, NameMapping, "mapping", span_of, fail)
        report.raise_if_failed()
        raise
    expansion = RuleExpansion(mapping.where, span_of, report)
    for name, rule in mapping.rules.items():
        expansion.add(mapping.prefix, name, rule.model_dump())
    expansion.check_words()
    report.raise_if_failed()
    return CheckedMapping(mapping, expansion.sources)


_SHAPE_HELP = 'as in `rules: {"conv1.kernel": "stem.conv.weight"}`'


def _names_as_text(tree: Tree) -> Any:
    """Return the plain value of a mapping file: a number there is a name, as it is spelt."""
    if isinstance(tree, YamlScalar):
        return tree.value if tree.value is None else tree.text
    if isinstance(tree, YamlList):
        return [_names_as_text(item) for item in tree.items]
    return {key.text: _names_as_text(value) for key, value in tree}


def _with_whole_rules(plain: Any) -> Any:
    """Return a mapping file's value in which every rule is a mapping: a text is its `to`."""
    rules: Any = plain.get("rules")
    if not isinstance(rules, dict):
        return plain
    items = cast("dict[str, Any]", rules).items()
    whole = {name: {"to": rule} if isinstance(rule, str) else rule for name, rule in items}
    return {**plain, "rules": whole}
