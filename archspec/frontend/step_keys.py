"""The keys that a step may have: one table for the body parser, the JSON schema and the docs.

>>> [key.name for key in STEP_KEYS if key.is_claim]
['params', 'ops', 'depth']

To add a key, add its entry to `STEP_KEYS` and its behaviour to `elaborate.py`. A test compares the
table in `docs/reference/language.md` with this one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from archspec.diagnostics import Report, quote
from archspec.frontend.tree import YamlMap
from archspec.ir.synonyms import suggest

Json = dict[str, Any]

EXPRESSION: Json = {
    "type": "string",
    "pattern": "\\$",
    "description": "An expression: $name or ${...}.",
}
BODY_SCHEMA: Json = {"$ref": "#/$defs/body"}
STEP_SCHEMA: Json = {"$ref": "#/$defs/step"}
ROW_SCHEMA: Json = {"anyOf": [{"type": "array"}, STEP_SCHEMA]}
"""A row of a table is a list of cells, or an ordinary step between the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: the JSON schema of its value, and the sentence that the docs say of it.

    The value of an `is_claim` key is a figure of the paper, kept as it is written.
    """

    name: str
    takes: Json
    description: str
    required: bool = False
    is_claim: bool = False


_TEXT: Json = {"type": ["string", "number"]}
_FIGURE: Json = {"type": ["string", "number", "null"]}

STEP_KEYS = (
    Key(
        name="name",
        takes=_TEXT,
        description="Its name, text without dots. It is part of its tensors' names.",
    ),
    Key(
        name="from",
        takes={"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
        description="An earlier step to read instead of the one before, or several.",
    ),
    Key(
        name="when",
        takes={"anyOf": [{"type": "boolean"}, EXPRESSION]},
        description="`true` or `false`: whether the step exists.",
    ),
    Key(
        name="output",
        takes={
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"anyOf": [{"type": "integer"}, EXPRESSION]}},
            ]
        },
        description="The shape that its output has to have: `28x28x256`, or `[256, 28, 28]`.",
    ),
    Key(
        name="aux",
        takes={"type": ["string", "null"]},
        description="The head that is attached to its output.",
    ),
    Key(name="init", takes={"type": "object"}, description="Initial values of its op's tensors."),
    Key(
        name="params",
        takes=_FIGURE,
        description="Claim: the parameters that the paper prints for it.",
        is_claim=True,
    ),
    Key(name="ops", takes=_FIGURE, description="Claim: its multiply-adds.", is_claim=True),
    Key(name="depth", takes=_FIGURE, description="Claim: its layers.", is_claim=True),
)
"""The keys that stand beside the op, block or structure of a step."""

REPEAT_KEYS = (
    Key(
        name="times",
        takes={"anyOf": [{"type": "integer", "minimum": 0}, EXPRESSION]},
        description="How often the body runs.",
        required=True,
    ),
    Key(name="as", takes={"type": "string"}, description="The name of a counter that starts at 0."),
    Key(name="body", takes=BODY_SCHEMA, description="The steps to repeat.", required=True),
)

TABLE_KEYS = (
    Key(
        name="columns",
        takes={"type": "array", "items": _TEXT, "contains": {"const": "type"}},
        description="The names of the columns, `type` among them.",
        required=True,
    ),
    Key(
        name="rows",
        takes={"type": "array", "items": ROW_SCHEMA},
        description="One step each.",
        required=True,
    ),
)

STRUCTURES = {"repeat": REPEAT_KEYS, "table": TABLE_KEYS}
"""What a step may hold that is neither an op nor a block, each with its own keys."""

RESERVED_KEYS = tuple(key.name for key in STEP_KEYS)
"""The names of `STEP_KEYS`: no block may have one of these."""

CLAIM_KEYS = tuple(key.name for key in STEP_KEYS if key.is_claim)


def properties(keys: Iterable[Key]) -> Json:
    """Return the JSON schema of each key, with its description."""
    return {key.name: key.takes | {"description": key.description} for key in keys}


def object_schema(keys: Iterable[Key]) -> Json:
    """Return the JSON schema of a mapping with these keys and no others."""
    keys = [*keys]
    return {
        "type": "object",
        "required": [key.name for key in keys if key.required],
        "additionalProperties": False,
        "properties": properties(keys),
    }


def check_keys(
    tree: YamlMap, names: Iterable[str], report: Report, where: str = "", noun: str = ""
) -> None:
    """Report every key of a mapping that is not one of `names`."""
    names = [*names]
    for key, _ in tree:
        if key.text not in names:
            message = f"unknown key {quote(key.text)}{where}"
            help = suggest(key.text, names, noun)
            report.error("AS0202", key.span, message, help=help)
