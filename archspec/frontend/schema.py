"""The JSON Schema of specs, derived from the ops and the sections.

It is for editors, and accepts more than the checker does.

>>> sorted(json_schema()["$defs"]["op.linear"]["properties"])
['bias', 'out']
"""

from __future__ import annotations

from archspec.frontend.arguments import TYPES
from archspec.frontend.network import VERSION
from archspec.frontend.step_keys import (
    BODY_SCHEMA,
    EXPRESSION,
    ROW_SCHEMA,
    STEP_KEYS,
    STEP_SCHEMA,
    STRUCTURES,
    Json,
    object_schema,
    properties,
)
from archspec.ir.document import Document
from archspec.ops import OPS


def json_schema() -> Json:
    """Return the schema as JSON data, draft 2020-12."""
    document = Document.model_json_schema(ref_template="#/$defs/{model}")
    definitions: Json = {name: _computed(part) for name, part in document.pop("$defs", {}).items()}
    for kind, op in OPS.items():
        definitions[f"op.{kind}"] = _op(op.model_json_schema(), op.__doc__ or "")
    definitions |= {"step": _step(), "body": {"type": ["array", "null"], "items": STEP_SCHEMA}}
    definitions |= {name: object_schema(keys) for name, keys in STRUCTURES.items()}
    definitions |= {"block": _block(), "edit": _edit()}
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
                BODY_SCHEMA,
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
    """Let a variant remove a section, a mapping in it, or an entry of that, by a null."""
    if not part.get("additionalProperties"):
        return {"anyOf": [part, {"type": "null"}]} if "$ref" in part else part
    values: Json = part["additionalProperties"]
    mapping = "$ref" in values or "additionalProperties" in values
    inner = _removable(values) if mapping else _or_expression(values, null=True)
    return part | {"additionalProperties": inner, "type": ["object", "null"]}


def _computed(part: Json) -> Json:
    """Let a section's values be expressions too, and none of them required.

    A variant states only what it changes, and removes a value by a null.
    """
    fields = {
        name: _removable(field)
        if "additionalProperties" in field
        else _or_expression(field, null=True)
        for name, field in part.get("properties", {}).items()
    }
    return {key: value for key, value in part.items() if key != "required"} | {"properties": fields}


def _or_expression(field: Json, null: bool = False) -> Json:
    """Return the schema of a field that also accepts an expression."""
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
    keys = properties(STEP_KEYS)
    for structure in STRUCTURES:
        keys[structure] = {"$ref": f"#/$defs/{structure}"}
    for kind, op in OPS.items():
        merge: Json = {
            "type": ["object", "null"],
            "additionalProperties": BODY_SCHEMA,
            "description": "Branches by name.",
        }
        keys[kind] = merge if op.variadic else {"$ref": f"#/$defs/op.{kind}"}
    call: Json = {"type": ["object", "null"], "description": "A block's arguments."}
    named: Json = {"type": "string", "examples": [*OPS]}
    return {"anyOf": [named, {"type": "object", "properties": keys, "additionalProperties": call}]}


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
        "properties": {"doc": {"type": "string"}, "args": args, "body": BODY_SCHEMA},
    }


def _edit() -> Json:
    steps: Json = {
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "array", "items": ROW_SCHEMA}, STEP_SCHEMA]},
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
