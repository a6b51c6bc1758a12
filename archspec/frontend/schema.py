"""The JSON Schema of specs, derived from the ops and the sections; what it lets through, the checker still checks.

>>> sorted(schema()["$defs"]["op.linear"]["properties"])
['bias', 'out']
"""

from __future__ import annotations

from typing import Any

from archspec.frontend.arguments import TYPES
from archspec.frontend.network import VERSION
from archspec.frontend.step import CLAIMS
from archspec.ir.document import Document
from archspec.ops import OPS

Json = dict[str, Any]

EXPRESSION: Json = {
    "type": "string",
    "pattern": "\\$",
    "description": "An expression: $name or ${...}.",
}
_BODY: Json = {"$ref": "#/$defs/body"}
_STEP: Json = {"$ref": "#/$defs/step"}
_ROW: Json = {"anyOf": [{"type": "array"}, _STEP]}


def schema() -> Json:
    """The schema as JSON data, draft 2020-12."""
    document = Document.model_json_schema(ref_template="#/$defs/{model}")
    definitions: Json = {name: _computed(part) for name, part in document.pop("$defs", {}).items()}
    for kind, op in OPS.items():
        definitions[f"op.{kind}"] = _op(op.model_json_schema(), op.__doc__ or "")
    definitions |= {"step": _step(), "body": {"type": ["array", "null"], "items": _STEP}}
    definitions |= {"table": _table(), "block": _block(), "edit": _edit()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "archspec",
        "description": "A neural network, version 1 of the language.",
        "type": "object",
        "required": ["archspec"],
        "anyOf": [{"required": ["extends"]}, {"required": ["input", "network"]}],
        "additionalProperties": False,
        "properties": _root()
        | {name: _removable(part) for name, part in document["properties"].items()},
        "$defs": definitions,
    }


def _root() -> Json:
    scalar = {"type": ["number", "string", "boolean", "null"]}
    return {
        "archspec": {"const": VERSION, "description": "The version of the language."},
        "name": {"type": ["string", "number"], "description": "The network's name."},
        "extends": {"type": "string", "description": "The spec that this one changes."},
        "edit": {
            "type": "array",
            "items": {"$ref": "#/$defs/edit"},
            "description": "Changes to what is extended.",
        },
        "input": {
            "type": "array",
            "items": {"anyOf": [{"type": "integer", "minimum": 1}, EXPRESSION]},
            "minItems": 1,
            "maxItems": 4,
            "description": "One sample, channels first: C,H,W.",
        },
        "args": {
            "type": "object",
            "additionalProperties": scalar,
            "description": "Arguments and their defaults.",
        },
        "blocks": {"type": "object", "additionalProperties": {"$ref": "#/$defs/block"}},
        "network": {
            "anyOf": [
                _BODY,
                {
                    "type": "object",
                    "required": ["table"],
                    "properties": {"table": {"$ref": "#/$defs/table"}},
                },
            ],
            "description": "The steps, from top to bottom, or a table.",
        },
    }


def _removable(part: Json) -> Json:
    """A section, or a mapping in it: a variant removes an entry, or the whole, by a null."""
    if not part.get("additionalProperties"):
        return {"anyOf": [part, {"type": "null"}]} if "$ref" in part else part
    values: Json = part["additionalProperties"]
    mapping = "$ref" in values or "additionalProperties" in values
    inner = _removable(values) if mapping else _or_expression(values, null=True)
    return part | {"additionalProperties": inner, "type": ["object", "null"]}


def _computed(part: Json) -> Json:
    """A section's model, its values also expressions; a variant states what it changes, and removes by a null."""
    fields = {
        name: _removable(field)
        if "additionalProperties" in field
        else _or_expression(field, null=True)
        for name, field in part.get("properties", {}).items()
    }
    return {key: value for key, value in part.items() if key != "required"} | {"properties": fields}


def _or_expression(field: Json, null: bool = False) -> Json:
    described = {key: field[key] for key in ("description", "default", "title") if key in field}
    inner = {key: value for key, value in field.items() if key not in described}
    nothing: list[Json] = [{"type": "null"}] if null else []
    return described | {
        "anyOf": [*(inner["anyOf"] if set(inner) == {"anyOf"} else [inner]), EXPRESSION, *nothing]
    }


def _op(part: Json, doc: str) -> Json:
    properties = {name: _or_expression(field) for name, field in part.get("properties", {}).items()}
    needed = part.get("required", [])
    return {
        "description": doc.strip().partition("\n\n")[0].replace("\n    ", " "),
        "type": ["object"] if needed else ["object", "null"],
        "properties": properties,
        "required": needed,
        "additionalProperties": False,
    }


def _step() -> Json:
    text = {"type": ["string", "number"]}
    keys: Json = {
        "name": text | {"description": "The step's name, part of its parameters' names."},
        "from": {
            "anyOf": [text, {"type": "array", "items": text}],
            "description": "An earlier step to read, or several.",
        },
        "when": {
            "anyOf": [{"type": "boolean"}, EXPRESSION],
            "description": "Whether the step is there.",
        },
        "output": {
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"anyOf": [{"type": "integer"}, EXPRESSION]}},
            ],
            "description": "The shape it has to give: 28x28x256, or [256, 28, 28].",
        },
        "aux": {"type": ["string", "null"], "description": "The head that hangs on its output."},
        "init": {"type": "object", "description": "Initial values of its tensors, by role."},
        **{
            name: {
                "type": ["string", "number", "null"],
                "description": f"The {name} that the paper prints.",
            }
            for name in CLAIMS
        },
        "table": {"$ref": "#/$defs/table"},
        "repeat": {
            "type": "object",
            "required": ["times", "body"],
            "additionalProperties": False,
            "properties": {
                "times": _or_expression({"type": "integer", "minimum": 0}),
                "as": {"type": "string"},
                "body": _BODY,
            },
        },
    }
    for kind, op in OPS.items():
        merge: Json = {
            "type": ["object", "null"],
            "additionalProperties": _BODY,
            "description": "Branches by name.",
        }
        keys[kind] = merge if op.variadic else {"$ref": f"#/$defs/op.{kind}"}
    call: Json = {"type": ["object", "null"], "description": "A block's arguments."}
    named: Json = {"type": "string", "examples": [*OPS]}
    return {"anyOf": [named, {"type": "object", "properties": keys, "additionalProperties": call}]}


def _table() -> Json:
    columns: Json = {
        "type": "array",
        "items": {"type": ["string", "number"]},
        "contains": {"const": "type"},
    }
    return {
        "type": "object",
        "required": ["columns", "rows"],
        "additionalProperties": False,
        "properties": {"columns": columns, "rows": {"type": "array", "items": _ROW}},
    }


def _block() -> Json:
    declared: Json = {"type": "string", "pattern": f"^({'|'.join(TYPES)})( *=.*)?$"}
    args: Json = {
        "anyOf": [
            {"type": "array"},
            {"type": "object", "additionalProperties": declared},
            {"type": "null"},
        ]
    }
    return {
        "type": ["object", "null"],
        "required": ["body"],
        "additionalProperties": False,
        "properties": {"doc": {"type": "string"}, "args": args, "body": _BODY},
    }


def _edit() -> Json:
    steps: Json = {
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "array", "items": _ROW}, _STEP]},
    }
    address = {"type": "string"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "set": {"type": "object"},
            "insert_before": steps,
            "insert_after": steps,
            "replace": steps,
            "remove": {"anyOf": [address, {"type": "array", "items": address}]},
        },
    }
