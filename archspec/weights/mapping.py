"""Mapping files: another project's names of a network's tensors, as data.

A rule gives a foreign name and the portable one; words in braces stand for each of their values in
`where`, a list, or a mapping where the two differ:

>>> mapping = NameMapping.model_validate({
...     "formats": ["state_dict"], "where": {"n": ["1", "2"], "role": {"w": "weight", "b": "bias"}},
...     "rules": {"fc{n}.{role}": "dense.{n}.{role}"}, "ignored": {"*.steps": "counts batches"}})
>>> mapping.names["fc2.b"], len(mapping.names)
('dense.2.bias', 4)
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping as Words
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from archspec._files import read_bytes
from archspec.diagnostics import Failure, did_you_mean, quote, reason

FOLDER = Path(__file__).parent / "mappings"
MAX_BYTES, MAX_NAMES = 1 << 20, 1_000_000
_WORD = re.compile(r"\{(\w+)\}")


class MappingError(Failure):
    """A mapping that is unknown, or a file that is not a mapping."""


class NameMapping(BaseModel):
    """A checked mapping file: no foreign name and no portable one is given twice."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    doc: str = Field(default="", description="Whose checkpoints it reads.")
    formats: list[str] = Field(description="The kinds of file that they come in.")
    channels: Literal["rgb", "bgr"] | None = Field(
        default=None,
        description="The order of the input's channels that the weights were trained on.",
    )
    note: str = Field(default="", description="What whoever imports such a file should know.")
    where: dict[str, list[str] | dict[str, str]] = Field(default_factory=dict[str, Any])
    rules: dict[str, str]
    ignored: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="Patterns of names that are no weights, each with the reason.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        used = {word for rule in self.rules for word in _WORD.findall(rule)}
        if idle := [word for word in self.where if word not in used]:
            raise ValueError(f"{quote(idle[0])} in `where` is in no rule")
        count = len(self.names)
        if len(set(self.names.values())) < count:
            seen: set[str] = set()
            twice = next(name for name in self.names.values() if name in seen or seen.add(name))
            raise ValueError(f"two rules give {quote(twice)}")
        return self

    @cached_property
    def names(self) -> dict[str, str]:
        """Every foreign name with its portable one; raise ValueError if a name occurs twice."""
        portable: dict[str, str] = {}
        for rule in self.rules.items():
            for theirs, ours in self._expanded(*rule):
                if theirs in portable:
                    raise ValueError(f"two rules take {quote(theirs)}")
                portable[theirs] = ours
            if len(portable) > MAX_NAMES:
                raise ValueError(f"the rules give more than {MAX_NAMES:,} names")
        return portable

    def _expanded(self, theirs: str, ours: str) -> list[tuple[str, str]]:
        words = sorted(set(_WORD.findall(theirs)))
        if words != sorted(set(_WORD.findall(ours))):
            raise ValueError(f"{quote(theirs)} and {quote(ours)} have not the same words in braces")
        if missing := [word for word in words if word not in self.where]:
            raise ValueError(f"{quote(missing[0])} in {quote(theirs)} is not in `where`")
        values = [_pairs(self.where[word]) for word in words]
        if math.prod(map(len, values)) > MAX_NAMES:
            raise ValueError(f"{quote(theirs)} stands for more than {MAX_NAMES:,} names")
        pairs: list[tuple[str, str]] = []
        for chosen in itertools.product(*values):
            foreign = {word: pair[0] for word, pair in zip(words, chosen, strict=True)}
            neutral = {word: pair[1] for word, pair in zip(words, chosen, strict=True)}
            pairs.append((_filled(theirs, foreign), _filled(ours, neutral)))
        return pairs


def _pairs(values: list[str] | dict[str, str]) -> list[tuple[str, str]]:
    return (
        list(values.items()) if isinstance(values, dict) else [(value, value) for value in values]
    )


def _filled(template: str, words: Words[str, str]) -> str:
    return _WORD.sub(lambda match: words[match[1]], template)


def shipped_mappings() -> dict[str, Path]:
    """Return the mappings that come with archspec, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find_mapping(name: str) -> NameMapping:
    """Return a mapping by its name, or from a file; raise `MappingError`."""
    if name in shipped_mappings():
        return read_mapping(shipped_mappings()[name])
    if not Path(name).suffix:
        raise MappingError(
            f"unknown mapping {quote(name)}", did_you_mean(name, shipped_mappings(), "mappings")
        )
    return read_mapping(Path(name))


def read_mapping(path: Path) -> NameMapping:
    """Return the mapping in a file; raise `MappingError` listing everything wrong in it."""
    try:
        text = read_bytes(path, MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise MappingError(f"the mapping {quote(path)} has more than {MAX_BYTES // 2**20} MiB")
        # The loader is a SafeLoader, which builds plain values alone.
        tree: Any = yaml.load(text, _Loader)  # noqa: S506
        return NameMapping.model_validate(tree)
    except OSError as error:
        raise MappingError(f"cannot read the mapping {quote(path)}: {reason(error)}") from error
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise MappingError("\n  ".join((f"{quote(path)} is no mapping", *faults[:20]))) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise MappingError(f"{quote(path)} is no mapping: {error}") from None


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, refusing duplicate keys and aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if cast("Any", self).check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a mapping has no aliases")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [key for key, count in keys.items() if count > 1]:
            raise yaml.YAMLError(f"the key {quote(twice[0])} is given twice")
        return super().construct_mapping(node, deep)
