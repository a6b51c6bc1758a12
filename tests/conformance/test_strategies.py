"""The strategies reach every op, every spelling of a field and every construct of the language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from archspec.conformance.fields import schema
from archspec.conformance.ops import MAX_RANK, inputs, kinds, make_op, op_values, shapes, takes_rank
from archspec.conformance.specs import GeneratedSpec, specs
from archspec.conformance.suite.networks import SHARDS, over_shard
from archspec.ir.op import EvalContext, Op
from archspec.ir.types import Shape, Size
from archspec.ops import OPS
from tests.helpers.specs import checked

if TYPE_CHECKING:
    from archspec.ir.op import Array


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many draws, the same in every run."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(cast("Any", HealthCheck)),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


KINDS = {"array": "list", "integer": "int", "string": "3x5", "null": "None", "number": "number"}
NUMBERS = {*KINDS.values(), "list of pairs"}


def alternatives(field: Mapping[str, Any]) -> Iterator[str]:
    """The ways to write a field, as its schema lists them."""
    for part in field.get("anyOf", [field]):
        if "enum" in part:
            yield from part["enum"]
        elif part["type"] == "array" and "anyOf" in part["items"]:
            yield from ("list", "list of pairs")
        elif part["type"] == "boolean":
            yield from ("True", "False")
        else:
            yield KINDS[part["type"]]


def way(value: Any, field: Mapping[str, Any]) -> str:
    """The way in which a value is written."""
    if isinstance(value, bool) or value is None or value in field.get("enum", ()):
        return str(value)
    if isinstance(value, list):
        return "list of pairs" if any(isinstance(item, list) for item in value) else "list"
    if isinstance(value, str):
        return "3x5" if value[0].isdigit() else value
    return "number" if field.get("type") == "number" else "int"


REFUSED = {"conv_transpose": [("padding", "same"), ("padding", "same_lower")]}
"""What a schema lets through, and the op refuses whatever its input."""


@pytest.mark.parametrize("kind", [kind for kind in OPS if schema(kind)])
def test_every_way_to_write_every_field_is_drawn_and_taken(kind: str) -> None:
    ranks = [rank for rank in range(MAX_RANK + 1) if takes_rank(kind, rank)]
    seen: Counter[tuple[str, str]] = Counter()
    pairs = shapes(*ranks).flatmap(lambda shape: st.tuples(st.just(shape), op_values(kind, shape)))
    for shape, fields in drawn(pairs, 300):
        assert make_op(kind, fields, shape)
        seen.update((name, way(value, schema(kind)[name])) for name, value in fields.items())
    wanted = {(name, how) for name, field in schema(kind).items() for how in alternatives(field)}
    assert sorted(wanted - set(seen)) == sorted(REFUSED.get(kind, ()))


def test_every_op_takes_inputs_of_some_rank() -> None:
    reached = {
        kind
        for rank in range(MAX_RANK + 1)
        for many in (False, True)
        for kind in kinds(rank, many=many)
    }
    assert reached == set(OPS)
    # Known by their papers: a vector has no windows, a map has to be flattened.
    assert not takes_rank("conv", 0)
    assert all(takes_rank("conv", rank) for rank in (1, 2, 3))
    assert [takes_rank("linear", rank) for rank in range(4)] == [True, False, False, False]


@given(shapes().flatmap(inputs))
def test_inputs_are_distinct_and_away_from_kinks(x: Array) -> None:
    assert np.unique(x).size == x.size
    assert np.abs(x - np.round(x)).min() > 0.099
    assert x.dtype == np.float64
    assert len(x) in (2, 3)
    if x.size > 50:
        assert x.min() < -4
        assert x.max() > 6


class Echo(Op):
    """An op that no part of the kit has heard of."""

    kind = "echo"
    family = "shape"
    taps: Size = Field(description="Anything.")
    gain: float = Field(1.0, ge=0.5, le=2)
    mode: str = Field("left", json_schema_extra={"enum": ["left", "right"]})

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return inputs[0] * self.gain


def test_a_new_op_is_reached_without_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPS, "echo", Echo)  # pyright: ignore[reportArgumentType]
    found = [
        drawn_spec
        for drawn_spec in drawn(specs(), 100)
        if "echo" in {kind for kind, _ in drawn_spec.layers}
    ]
    assert found
    graph = checked(found[0].text).graph
    assert tuple((node.op.kind, node.shape) for node in graph.nodes[1:]) == found[0].layers


# What whole specs hold, told from their text.

STEP_KEYS = ("name", "from", "when", "output", "aux")


def pieces(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of every mapping with its value, rows of tables included."""
    if isinstance(value, list):
        for item in value:
            yield from pieces(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key), inner
            yield from pieces(inner)
        for row in value["rows"] if "columns" in value else ():
            if isinstance(row, list):
                yield "row", row
                yield from (
                    (c, v) for c, v in zip(value["columns"], row, strict=True) if v is not None
                )


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping, however deep."""
    if isinstance(value, dict):
        yield value
    for inner in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from mappings(inner)


def constructs(spec: GeneratedSpec) -> Iterator[str]:
    """The constructs that a spec is written with."""
    data = yaml.safe_load(spec.text)
    yield f"rank {len(spec.input) - 1}"
    for node in checked(spec.text).graph.nodes[1:]:
        yield f"op {node.op.kind}"
        yield from (f"{name} {value}" for name, value in node.op if isinstance(value, str | bool))
    yield "a vector at the end" if len(spec.outputs["main"]) == 1 else "a map at the end"
    for name, head in data.get("heads", {}).items():
        which = "main" if name == "main" else "train-only" if "only" in head else "lasting"
        yield from (
            f"{which} head",
            f"{which} head, {'a block' if 'block' in head else 'the value itself'}",
        )
        yield f"loss {head['loss']}"
        yield "a head by from" if "from" in head else "a head by aux"
    for block in data.get("blocks", {}).values():
        args = block.get("args", {})
        for declared in args.values() if isinstance(args, dict) else ["int" for _ in args]:
            yield f"argument {declared.partition(' ')[0]}"
            yield "a default" if "=" in declared else "no default"
    many = {kind for kind, op in OPS.items() if op.variadic}
    for step in mappings(data):
        if isinstance(step.get("from"), list):
            yield from (f"{kind} by from" for kind in many if kind in step)
    for key, value in pieces(data):
        if key in many and isinstance(value, dict):
            yield from (
                f"{key} of branches",
                *(["an empty branch"] if [] in value.values() else []),
            )
        if key in STEP_KEYS:
            yield f"key {key}"
        match key, value:
            case "from", list():
                yield "from a list"
            case "repeat", {"as": _, "body": body}:
                yield "a counter"
                yield from ("nested repeat" for inner, _ in pieces(body) if inner == "repeat")
            case "repeat", _:
                yield "no counter"
            case "when", text:
                yield f"when {type(text).__name__}"
            case "row", [*cells]:
                yield from (
                    "a merge in a row" for cell in cells if isinstance(cell, str) and cell in many
                )
                yield from (
                    "a block in a row"
                    for cell in cells
                    if isinstance(cell, str) and cell in data.get("blocks", ())
                )
            case "padding", list():
                yield (
                    "padding in pairs"
                    if any(isinstance(item, list) for item in value)
                    else "padding in a list"
                )
            case "padding", int():
                yield "padding in one number"
            case "kernel", str() if ".kernel}" in value:
                yield "a patch"
            case _:
                pass
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and "$" in text:
                yield "an expression"
                yield from (f"expression with {part}" for part in PARTS if part in text)
    yield from (
        "a name with " + mark for key, _ in pieces(data) for mark in (" ", "#", "/") if mark in key
    )


PARTS = (
    "in.",
    "//",
    "%",
    "*",
    " if ",
    "min(",
    "max(",
    "round(",
    "floor(",
    "ceil(",
    " or ",
    " and ",
    "not ",
    "==",
    "-",
)

WANTED = {
    *(f"rank {rank}" for rank in range(4)),
    *(
        "a vector at the end",
        "a map at the end",
        "loss mse",
        "loss cross_entropy",
        "loss binary_cross_entropy",
        "loss none",
    ),
    *(f"{which} head" for which in ("main", "train-only", "lasting")),
    *(
        f"{which} head, {what}"
        for which in ("train-only", "lasting")
        for what in ("a block", "the value itself")
    ),
    *(f"argument {kind}" for kind in ("int", "float", "bool", "str", "size", "patch", "shape")),
    *(f"key {key}" for key in STEP_KEYS),
    *("padding in one number", "padding in a list", "padding in pairs"),
    *(
        "a default",
        "no default",
        "an empty branch",
        "from a list",
        "a counter",
        "no counter",
        "nested repeat",
    ),
    *("when bool", "when str", "a merge in a row", "a block in a row", "a patch", "an expression"),
    *("a head by from", "a head by aux", "a name with  ", "a name with #", "a name with /"),
    *(f"expression with {part}" for part in PARTS),
}


@pytest.fixture(scope="module")
def networks() -> list[GeneratedSpec]:
    """The very networks that the suite draws."""
    found: list[GeneratedSpec] = []

    def collect(spec: GeneratedSpec, number: int) -> None:
        found.append(spec)

    for shard in range(SHARDS):
        over_shard(shard, OPS, collect)
    assert len(found) >= 300
    return found


def test_the_suites_networks_have_every_op_every_rule_and_every_construct(
    networks: list[GeneratedSpec],
) -> None:
    seen = {construct for spec in networks for construct in constructs(spec)}
    wanted = WANTED | {f"op {kind}" for kind in OPS}
    wanted |= {
        f"{kind} {how}"
        for kind, op in OPS.items()
        if op.variadic
        for how in ("of branches", "by from")
    }
    fields = [(name, field) for kind in OPS for name, field in schema(kind).items()]
    wanted |= {
        f"{name} {how}"
        for name, field in fields
        for how in alternatives(field)
        if how not in NUMBERS
    }
    assert sorted(wanted - seen) == []


def written(value: Any) -> Iterator[tuple[str, str, Any]]:
    """Every field of every op in a spec's data, as op, field and value; rows of tables included."""
    if isinstance(value, list):
        for item in value:
            yield from written(item)
    elif isinstance(value, dict):
        steps = [
            (kind, inner)
            for kind, inner in value.items()
            if kind in OPS and isinstance(inner, dict)
        ]
        rows = [row for row in value.get("rows", ()) if isinstance(row, list)]
        cells = [dict(zip(value["columns"], row, strict=True)) for row in rows]
        steps += [(row["type"], row) for row in cells if row["type"] in OPS]
        for kind, inner in steps:
            yield from (
                (kind, name, inner[name]) for name in schema(kind) if inner.get(name) is not None
            )
        for inner in value.values():
            yield from written(inner)


def used(networks: list[GeneratedSpec]) -> set[tuple[str, str, str]]:
    """Each op, field and way of writing it; whether a number is its default, too."""
    seen: set[tuple[str, str, str]] = set()
    for spec in networks:
        for kind, name, value in written(yaml.safe_load(spec.text)):
            if not (isinstance(value, str) and "$" in value):
                seen.add((kind, name, way(value, schema(kind)[name])))
        for node in checked(spec.text).graph.nodes[1:]:
            for name, value in node.op:
                field = schema(node.op.kind)[name]
                if isinstance(value, str | bool):
                    seen.add((node.op.kind, name, str(value)))
                if isinstance(value, int | float) and "default" in field:
                    seen.add(
                        (
                            node.op.kind,
                            name,
                            "its default" if value == field["default"] else "another",
                        )
                    )
    return seen


def test_the_suites_networks_write_fields_in_every_way(networks: list[GeneratedSpec]) -> None:
    """Every field of every op in every way, with its default and with another value.

    What hypothesis draws depends on the modules that happen to be loaded, whose constants it mixes
    in. So a rare way or two may be missing by chance: those turn up soon where the op has the
    networks to itself.
    """
    wanted = {
        (kind, n, how) for kind in OPS for n, f in schema(kind).items() for how in alternatives(f)
    }
    wanted -= {(kind, *pair) for kind, pairs in REFUSED.items() for pair in pairs}
    wanted = {
        each for each in wanted if each[2] != "None"
    }  # what is nothing by default is left out instead
    for kind in OPS:
        for name, field in schema(kind).items():
            if field.get("type") in ("number", "integer") and "default" in field:
                wanted |= {(kind, name, "its default"), (kind, name, "another")}
    missing = wanted - used(networks)
    assert len(missing) <= len(wanted) // 100, sorted(missing)
    for kind in {kind for kind, _, _ in missing}:
        missing -= used(drawn(specs(known=frozenset({kind})), 200))
    assert sorted(missing) == []


def test_shapes_have_the_ranks_that_are_asked_for() -> None:
    found: list[Shape] = drawn(shapes(1, 3), 50)
    assert {len(shape) for shape in found} == {2, 4}
