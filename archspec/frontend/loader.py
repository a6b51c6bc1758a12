"""A spec, from its file to a graph, with its overrides applied. The checks come after.

>>> from archspec.diagnostics import Report
>>> spec, _ = read_spec("lenet5", [], [], {}, Report())
>>> spec.graph.input
(1, 32, 32)
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import index
from pathlib import Path
from typing import Any

from archspec.analysis.stats import Stats, stats
from archspec.diagnostics import Diagnostic, Report, Source, SpecError, quote
from archspec.frontend.files import SpecReader, find_spec
from archspec.frontend.network import read_network
from archspec.frontend.overrides import apply_edit
from archspec.frontend.tree import YamlMap, YamlScalar, copy_tree, from_python, tree_depth
from archspec.frontend.yaml import MAX_DEPTH, parse_yaml
from archspec.ir.check_input import OVERRIDE, CheckInput
from archspec.ir.document import Document
from archspec.ir.graph import Graph
from archspec.ir.types import LIMIT

_SET = re.compile(r"""((?:[^="']|"[^"]*"|'[^']*')*)(=)(.*)""", re.DOTALL)
"""ADDRESS=VALUE; an equals sign between quotes belongs to the address."""


@dataclass(frozen=True, eq=False)
class Spec:
    """A checked spec: its graph, the sections around it, and the warnings.

    `sha256` is of the files it came from and the overrides: equal specs have equal hashes.
    """

    path: str
    name: str
    graph: Graph
    document: Document
    sha256: str
    tree: YamlMap
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def args(self) -> Mapping[str, Any]:
        """The network's arguments and their values."""
        return self.graph.args

    @cached_property
    def stats(self) -> Stats:
        """The counts of the network for one sample, computed once."""
        return stats(self)


def read_spec(
    spec: str | os.PathLike[str],
    sets: list[str],
    include: list[Path],
    args: Mapping[str, Any],
    report: Report,
    *,
    check_outputs: bool = False,
) -> tuple[Spec, CheckInput] | None:
    """Return the spec, not yet checked, and what the checks read.

    `sets` are the values of `--set`, `args` those of arguments from Python. Outputs that are stated
    for another input are not compared unless `check_outputs` is set. None if the spec has an error,
    which is reported.
    """
    path = find_spec(spec)
    reader = SpecReader(report, include)
    tree = reader.read_tree(path)
    if tree is None:
        return None
    for text in sets:
        apply_set(tree, text, report)
    for name, value in args.items():
        _apply_argument(tree, name, value, report)
    is_overridden = bool(sets or args)
    if is_overridden and tree_depth(tree) > MAX_DEPTH:
        message = f"once overridden, the spec is nested more than {MAX_DEPTH} deep"
        report.error("AS0105", tree.source.start, message)
        return None
    network = read_network(
        tree,
        path.stem,
        report,
        reader.inputs,
        overridden=is_overridden,
        check_outputs=check_outputs,
    )
    if network is None or report.failed:
        return None
    texts = [*reader.texts, repr([sets, sorted(args.items())]).encode()]
    digest = hashlib.sha256(b"\0".join(texts)).hexdigest()
    graph = replace(network.graph, vary=partial(_vary, tree, path.stem, reader.inputs))
    network = replace(network, graph=graph)
    return Spec(str(path), graph.name, graph, network.document, digest, tree), network


def _vary(
    tree: YamlMap,
    default_name: str,
    stated_inputs: Mapping[Source, YamlMap],
    args: Mapping[str, Any],
) -> Graph | None:
    """Return the graph of the same spec with other values of arguments; None if it has an error."""
    report = Report()
    changed = copy_tree(tree)
    assert isinstance(changed, YamlMap)
    try:
        for name, value in args.items():
            _apply_argument(changed, name, value, report)
        if report.failed:
            return None
        network = read_network(changed, default_name, report, stated_inputs)
    except SpecError:  # the report is full
        return None
    if network is None or report.failed:
        return None
    return replace(network.graph, vary=partial(_vary, changed, default_name, stated_inputs))


def _apply_argument(tree: YamlMap, name: str, value: Any, report: Report) -> None:
    """Set an argument to a value from Python, located in a text that shows both."""
    value = _yaml_value(value)
    source = Source("arguments", f"{name}={value}")
    key = YamlScalar(name, name, source, (1, 1), (1, len(name) + 1))
    scalar = from_python(value, source, len(name) + 2)
    apply_edit(tree, "set", key, scalar, report, ["args", name])


def _yaml_value(value: Any) -> Any:
    """Return an argument as YAML could give it: numpy's integers as ints, of bounded size."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return value
    # Beyond the limit it is an error; its further digits are not needed to say so.
    return max(-2 * LIMIT, min(index(value), 2 * LIMIT))


def apply_set(tree: YamlMap, text: str, report: Report) -> None:
    """Apply one `--set ADDRESS=VALUE`; the value is YAML."""
    source = Source(OVERRIDE, text)
    match = _SET.fullmatch(text)
    address, equals, _ = match.groups() if match else text.partition("=")
    if not equals or not address.strip():
        span = source.span(1, 1, 1, len(text) + 1)
        message = f"an override reads ADDRESS=VALUE, found {quote(text)}"
        help = "as in `--set classes=10` or `--set 'conv1.out=32'`"
        report.error("AS0002", span, message, help=help)
        return
    errors_before = report.error_count
    value = parse_yaml(source, report, start=len(address) + 1)
    if value is not None and report.error_count == errors_before:
        key = YamlScalar(address, address, source, (1, 1), (1, len(address) + 1))
        apply_edit(tree, "set", key, value, report)
