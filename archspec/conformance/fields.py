"""Values for one field, drawn from its JSON Schema, in every spelling that specs allow.

>>> from hypothesis import find
>>> find(values({"type": "boolean"}, ValueLimits()), lambda value: True)
False
>>> kernels = values(schema("conv")["kernel"], ValueLimits(rank=2, largest=5))
>>> find(kernels, lambda value: value == "2x3")
'2x3'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from archspec.ops import OPS

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ValueLimits:
    """Limits that keep a draw small.

    A list has one item or `rank` items; whole numbers lie between `least` and `largest`.
    """

    rank: int = 1
    largest: int = 3
    least: int = 0


@cache
def schema(kind: str) -> Mapping[str, Schema]:
    """Return the fields of an op, as the schema of specs describes them."""
    return OPS[kind].model_json_schema().get("properties", {})


@cache
def required(kind: str) -> frozenset[str]:
    """Return the fields without a default."""
    return frozenset(OPS[kind].model_json_schema().get("required", ()))


def spellings(field: Schema) -> int:
    """Return the number of ways in which a field can be written.

    >>> spellings({"type": "boolean"})
    2
    >>> spellings({"anyOf": [{"type": "integer"}, {"enum": ["same", "valid"]}]})
    3
    """
    if "anyOf" in field:
        return sum(map(spellings, field["anyOf"]))
    if "enum" in field:
        return len(field["enum"])
    return {"array": lambda: spellings(field["items"]), "boolean": lambda: 2}.get(
        field.get("type", ""), lambda: 1
    )()


def values(field: Schema, room: ValueLimits) -> st.SearchStrategy[Any]:
    """Draw YAML data that the schema accepts."""
    if "anyOf" in field:
        # A size spelt 3x5 has the same least number as the integers beside it.
        least = [part["minimum"] for part in field["anyOf"] if "minimum" in part]
        room = replace(room, least=min(least, default=0))
        # Each named rule counts as much as numbers do, and each kind of list as much as either.
        parts = [{"const": name} for part in field["anyOf"] for name in part.get("enum", ())]
        others = [
            part for part in field["anyOf"] for _ in range(spellings(part)) if "enum" not in part
        ]
        return st.one_of([values(part, room) for part in [*others, *parts]])
    if "enum" in field:
        return st.sampled_from(field["enum"])
    if "const" in field:
        return st.just(field["const"])
    match field["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return _integers(field, room)
        case "number":
            return _numbers(field)
        case "string":
            return _spelt(field, room)
        case "array":
            return _lists(field, room)
        case other:
            raise TypeError(f"no values are known for the type {other!r}")


def _integers(field: Schema, room: ValueLimits) -> st.SearchStrategy[int]:
    low = field.get("minimum", room.least)
    return st.integers(low, max(low, min(room.largest, field.get("maximum", room.largest))))


def _numbers(field: Schema) -> st.SearchStrategy[float]:
    """Draw the default, or a point of a coarse grid over the range, so that its effect shows.

    A range that is open at one end is taken to be 2 wide.
    """
    low = field.get("minimum", field.get("exclusiveMinimum"))
    high = field.get("maximum", field.get("exclusiveMaximum"))
    if low is not None:
        first = low
    else:
        first = -1.0 if high is None else high - 2.0
    last = high if high is not None else first + 2.0
    barred = {field.get("exclusiveMinimum"), field.get("exclusiveMaximum")}
    grid = [first, *(round(first + (last - first) * k / 16, 6) for k in range(1, 16)), last]
    usual = [field["default"]] * 8 if "default" in field else []
    return st.sampled_from([*(value for value in grid if value not in barred), *usual])


def _spelt(field: Schema, room: ValueLimits) -> st.SearchStrategy[str]:
    number = st.integers(room.least, max(room.least, room.largest))
    sizes = _length(field, room).flatmap(lambda n: st.lists(number, min_size=n, max_size=n))
    return sizes.map(lambda size: "x".join(map(str, size))).filter(
        re.compile(field.get("pattern", "")).search
    )


def _lists(field: Schema, room: ValueLimits) -> st.SearchStrategy[list[Any]]:
    """Draw a list whose items are of one kind, or of any."""
    kinds = [*field["items"].get("anyOf", ()), field["items"]]
    sizes = st.tuples(st.sampled_from(kinds), _length(field, room))
    return sizes.flatmap(
        lambda drawn: st.lists(values(drawn[0], room), min_size=drawn[1], max_size=drawn[1])
    )


def _length(field: Schema, room: ValueLimits) -> st.SearchStrategy[int]:
    """Draw a length: one item for all axes, or one each; a fixed length stays."""
    low, high = field.get("minItems", 1), field.get("maxItems", 4)
    return (
        st.just(low)
        if low == high
        else st.sampled_from([n for n in (1, max(room.rank, 1)) if low <= n <= high])
    )
