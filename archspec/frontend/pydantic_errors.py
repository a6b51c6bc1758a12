"""pydantic's findings as located diagnostics: which field, what it takes, what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from archspec.diagnostics import Span, did_you_mean, quote
from archspec.frontend.tree import List, Map, Tree
from archspec.ir.expr import describe

Fail = Callable[[str, Span, str, str], None]
"""code, span, message, help"""

_PRECISE = ("extra_forbidden", "value_error")
"""What a union's member says of a value that is nearly its own: it comes before what the other members say."""


def explain(
    error: ValidationError,
    model: type[BaseModel],
    what: str,
    place: Callable[[tuple[Any, ...], bool], Span],
    fail: Fail,
) -> None:
    """Reports each field at fault once; `place` gives the span of a path into the value, or of its key."""
    seen: set[tuple[Any, ...]] = set()
    missing: dict[tuple[Any, ...], list[str]] = {}
    findings: list[Any] = list(error.errors(include_url=False))
    for finding in sorted(findings, key=lambda f: f["type"] not in _PRECISE):
        path, owner = _field(finding["loc"], model)
        item = tuple(part for part in finding["loc"][len(path) :] if isinstance(part, int))
        if (*path, *item) in seen:
            continue
        seen.add((*path, *item))
        name, value, kind = str(path[-1]) if path else what, finding["input"], finding["type"]
        if kind == "literal_error" and finding["loc"][-1:] == (
            "[key]",
        ):  # a mapping whose keys are of a fixed set
            help = str(finding["ctx"].get("expected", ""))
            fail("AS0202", place(path, True), f"unknown key {quote(name)}", f"known keys: {help}")
        elif kind == "missing":
            missing.setdefault(path[:-1], []).append(quote(name))
        elif kind == "extra_forbidden":
            unknown = finding["loc"][-1]
            known = _keys(owner) if unknown == name else []  # else the key of a union's member
            path = path if known else (*path, unknown)
            inside = quote(path[-2]) if len(path) > 1 else quote(what)
            message = f"unknown key {quote(unknown)} in {inside}"
            fail(
                "AS0202",
                place(path, True),
                message,
                did_you_mean(str(unknown), known, "keys" if known else ""),
            )
        elif kind == "value_error":
            # The model's own validator speaks of several fields together, and says what is wrong.
            fail("AS0205", place(path, False), f"{quote(what)}: {finding['ctx']['error']}", "")
        else:
            _value(
                name, value, kind, _schema(owner, path), finding, place((*path, *item), False), fail
            )
    for path, names in missing.items():
        needs = f"{quote(path[-1] if path else what)} needs a value for {' and '.join(names)}"
        fail("AS0207", place(path, True), needs, "")


def _value(
    name: str, value: Any, kind: str, schema: dict[str, Any], finding: Any, span: Span, fail: Fail
) -> None:
    takes = (expected(schema) if schema else "") or str(finding["msg"])[:1].lower() + str(
        finding["msg"]
    )[1:]
    if kind in ("int_type", "int_from_float") and isinstance(value, float):
        help = "divide with `//`, or use round, floor or ceil"
        fail("AS0504", span, f"{quote(name)} is an integer, found {describe(value)}", help)
        return
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    ranged = kind.startswith(("greater", "less", "too_", "finite")) or (
        numeric and kind.endswith("_length")
    )
    choices = (
        schema.get("enum") or next((s["enum"] for s in schema.get("anyOf", ()) if "enum" in s), ())
        if schema
        else ()
    )
    help = did_you_mean(value, choices) if isinstance(value, str) and choices else ""
    fail(
        "AS0205" if ranged else "AS0204",
        span,
        f"{quote(name)} takes {takes}, found {describe(value)}",
        help,
    )


def _field(
    loc: tuple[Any, ...], model: type[BaseModel]
) -> tuple[tuple[Any, ...], type[BaseModel] | None]:
    """The path of the outermost field at fault (a union's members are one field), and the model that declares it."""
    path: list[Any] = []
    for part in loc:
        path.append(part)
        if part not in model.model_fields:
            continue
        inner = _model_of(model.model_fields[part].annotation)
        if inner is None:
            keys = _mappings(model.model_fields[part].annotation)
            return (*path, *loc[len(path) : len(path) + keys]), model
        at = loc[len(path) :]
        if inner[1] and at:  # a mapping of names to models: the name is part of the path
            path.append(at[0])
            rest = at[1:]
        else:
            rest = at
        found, deeper = _field(rest, inner[0]) if rest else ((), model if not inner[1] else None)
        return (*path, *found), deeper if found else model
    return tuple(path), model


def _model_of(annotation: Any) -> tuple[type[BaseModel], bool] | None:
    """The model that a field holds, and whether by name in a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    args: tuple[Any, ...] = get_args(annotation)
    if get_origin(annotation) is dict:
        inner = _model_of(args[1])
        return (inner[0], True) if inner else None
    members = [found for found in map(_model_of, args) if found]
    return members[0] if len(members) == 1 and len(args) == 2 else None


def _keys(owner: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in owner.model_fields.items()] if owner else []


def _schema(owner: type[BaseModel] | None, path: tuple[Any, ...]) -> dict[str, Any]:
    """The schema of the value at the end of a path, which may go on into mappings of the owner's field."""
    if owner is None:
        return {}
    properties = _properties(owner)
    names = [part for part in path if part in properties]
    schema: dict[str, Any] = properties.get(names[-1], {}) if names else {}
    for _ in path[path.index(names[-1]) + 1 :] if names else ():
        schema = schema.get("additionalProperties", schema)
    return schema


@cache
def _properties(owner: type[BaseModel]) -> dict[str, Any]:
    return owner.model_json_schema()["properties"]


def _mappings(annotation: Any) -> int:
    """How many mappings a field's type nests: dict[str, dict[str, X]] has two."""
    return 1 + _mappings(get_args(annotation)[1]) if get_origin(annotation) is dict else 0


_WORDS = {
    "integer": ("an integer", "integers"),
    "number": ("a number", "numbers"),
    "boolean": ("true or false", "trues or falses"),
    "string": ("a text", "texts"),
    "object": ("a mapping", "mappings"),
    "array": ("a list", "lists"),
}


def expected(schema: Mapping[str, Any], many: bool = False) -> str:
    """What a JSON Schema lets through, in words.

    >>> size = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "array", "items": {"type": "integer"}}]}
    >>> expected(size)
    'an integer of at least 1 or a list of integers'
    """
    if "$ref" in schema:
        return _WORDS["object"][many]
    if "anyOf" in schema:
        parts = dict.fromkeys(part for inner in schema["anyOf"] if (part := expected(inner, many)))
        if _WORDS["number"][many] in parts:
            parts.pop(_WORDS["integer"][many], None)
        *most, last = parts or [""]
        return (f"{', '.join(most)} or {last}" if most else last) + _limits(schema)
    if "enum" in schema:
        return "one of " + ", ".join(quote(v) for v in schema["enum"])
    if "const" in schema:
        return quote(schema["const"])
    kind = schema.get("type", "")
    if kind == "string" and "pattern" in schema:
        return "sizes such as 3x5" if many else "a size such as 3x5"
    words = _WORDS[kind][many] if kind in _WORDS else ""
    inner = expected(schema["items"], True) if kind == "array" and "items" in schema else ""
    return words + (f" of {inner}" if inner else _limits(schema))


def _limits(schema: Mapping[str, Any]) -> str:
    """The bounds of a number; the largest that a spec may state goes without saying."""
    names = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    bounds = [
        f"{word} {schema[key]:,}"
        for key, word in names.items()
        if key in schema and schema[key] < 2**60
    ]
    of = " of " if bounds and bounds[0].startswith("at") else " "
    return of + " and ".join(bounds) if bounds else ""


def in_tree(tree: Tree) -> Callable[[tuple[Any, ...], bool], Span]:
    """Places for `explain` where the value is a tree: the deepest part of the path that is there."""

    def place(path: tuple[Any, ...], key: bool) -> Span:
        here, span = tree, tree.span
        for part in path:
            if isinstance(here, Map) and str(part) in here.entries:
                span, here = here.key(str(part)).span, here.entries[str(part)][1]
            elif isinstance(here, List) and isinstance(part, int) and part < len(here.items):
                here = here.items[part]
                span = here.span
            else:
                break
        block = (
            isinstance(here, Map) and here.start[0] != here.end[0]
        )  # a whole section: its key says enough
        return span if key or block else here.span

    return place
