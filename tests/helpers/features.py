"""The features of a spec, told from its text: ops, constructs of the language, and ways to write each field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from archspec.conformance.fields import schema
from archspec.ir.graph import Graph
from archspec.ops import OPS
from tests.helpers.specs import checked

Feature = tuple[str, str, str]
"""An op, one of its fields, and a way to write it; or `spec`, nothing, and a construct."""

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


def constructs(text: str, graph: Graph) -> Iterator[str]:
    """The constructs that a spec is written with."""
    data = yaml.safe_load(text)
    yield f"rank {len(graph.input) - 1}"
    for node in graph.nodes[1:]:
        yield f"op {node.op.kind}"
        yield from (f"{name} {value}" for name, value in node.op if isinstance(value, str | bool))
    yield (
        "a vector at the end"
        if len(graph.nodes[graph.heads[0].node].shape) == 1
        else "a map at the end"
    )
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
            case "when", condition:
                yield f"when {type(condition).__name__}"
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
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and "$" in item:
                yield "an expression"
                yield from (f"expression with {part}" for part in PARTS if part in item)
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


def used(text: str, graph: Graph) -> Iterator[Feature]:
    """Each op, field and way of writing it; whether a number is its default, too."""
    for kind, name, value in written(yaml.safe_load(text)):
        if not (isinstance(value, str) and "$" in value):
            yield kind, name, way(value, schema(kind)[name])
    for node in graph.nodes[1:]:
        for name, value in node.op:
            field = schema(node.op.kind)[name]
            if isinstance(value, str | bool):
                yield node.op.kind, name, str(value)
            if isinstance(value, int | float) and "default" in field:
                yield node.op.kind, name, "its default" if value == field["default"] else "another"


def features(text: str) -> frozenset[Feature]:
    """What a spec is written with."""
    graph = checked(text).graph
    return frozenset(("spec", "", name) for name in constructs(text, graph)) | {*used(text, graph)}


def every_feature() -> frozenset[Feature]:
    """What networks together have to be written with, from the ops that are registered."""
    names = WANTED | {f"op {kind}" for kind in OPS}
    variadic = [kind for kind, op in OPS.items() if op.variadic]
    names |= {f"{kind} {how}" for kind in variadic for how in ("of branches", "by from")}
    wanted = {("spec", "", name) for name in names}
    for kind in OPS:
        for name, field in schema(kind).items():
            # A field that is null by default is left out instead.
            ways = {*alternatives(field)} - {"None"}
            if field.get("type") in ("number", "integer") and "default" in field:
                ways |= {"its default", "another"}
            wanted |= {(kind, name, how) for how in ways}
    return frozenset(wanted)
