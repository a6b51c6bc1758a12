"""pydantic's errors as located diagnostics: which field, what it takes, what was found."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from archspec.diagnostics import Span, quote
from archspec.frontend.schema_words import describe_schema
from archspec.frontend.tree import Tree, YamlList, YamlMap
from archspec.ir.expr import describe
from archspec.ir.section import Section
from archspec.ir.synonyms import suggest

Path = tuple[Any, ...]
SpanOf = Callable[[Path, bool], Span]
"""The span of the value at a path, or of its key if the flag is set."""
Fail = Callable[[str, Span, str, str], None]
"""code, span, message, help"""

_PRECISE = ("extra_forbidden", "value_error")
"""Errors of a union's member whose value is nearly right: the other members' errors say less."""


def report_validation_error(
    error: ValidationError, model: type[BaseModel], what: str, span_of: SpanOf, fail: Fail
) -> None:
    """Report each wrong field once. `what` names the whole value."""
    seen: set[Path] = set()
    missing: dict[Path, list[str]] = {}
    findings: list[Any] = list(error.errors(include_url=False))
    for finding in sorted(findings, key=lambda finding: finding["type"] not in _PRECISE):
        path, owner = _field(finding["loc"], model)
        indices = tuple(part for part in finding["loc"][len(path) :] if isinstance(part, int))
        if (*path, *indices) in seen:
            continue
        seen.add((*path, *indices))
        kind = finding["type"]
        if kind == "missing":
            missing.setdefault(path[:-1], []).append(quote(path[-1]))
        elif kind == "literal_error" and finding["loc"][-1:] == ("[key]",):
            # The field is a mapping whose keys are of a fixed set.
            help = f"known keys: {finding['ctx'].get('expected', '')}"
            fail("AS0202", span_of(path, True), f"unknown key {quote(path[-1])}", help)
        elif kind == "extra_forbidden":
            _report_unknown_key(path, owner, finding["loc"][-1], what, span_of, fail)
        elif kind == "value_error":
            # A model's own validator compares several fields, and says what is wrong.
            message = f"{quote(what)}: {finding['ctx']['error']}"
            fail("AS0205", span_of(path, False), message, "")
        else:
            name = str(path[-1]) if path else what
            span = span_of((*path, *indices), False)
            inner = _inner_model(owner, path)
            _report_value(name, finding, _schema(owner, path), span, fail, inner)
    for path, names in missing.items():
        message = f"{quote(path[-1] if path else what)} needs a value for {' and '.join(names)}"
        fail("AS0207", span_of(path, True), message, "")


def _report_unknown_key(
    path: Path, owner: type[BaseModel], key: Any, what: str, span_of: SpanOf, fail: Fail
) -> None:
    # Without a path to it, it is a key of a union's member, and `owner` is not its model.
    is_field = path[-1:] == (key,)
    keys = _keys(owner) if is_field else []
    path = path if is_field else (*path, key)
    inside = quote(path[-2]) if len(path) > 1 else quote(what)
    help = suggest(str(key), keys, "keys" if keys else "")
    if is_field and (new := _renamed(owner, str(key))):
        help = f"{quote(key)} is now {quote(new)}"
    fail("AS0202", span_of(path, True), f"unknown key {quote(key)} in {inside}", help)


def _renamed(owner: type[BaseModel], key: str) -> str:
    """Return the name that an old key of a section has today; empty if it never was one."""
    return owner.renamed.get(key, "") if issubclass(owner, Section) else ""


def _report_value(
    name: str,
    finding: Any,
    schema: dict[str, Any],
    span: Span,
    fail: Fail,
    model: type[BaseModel] | None,
) -> None:
    value, kind = finding["input"], finding["type"]
    if kind in ("int_type", "int_from_float") and isinstance(value, float):
        message = f"{quote(name)} is an integer, found {describe(value)}"
        fail("AS0504", span, message, "divide with `//`, or use round, floor or ceil")
        return
    takes = describe_schema(schema)
    if not takes:
        message = str(finding["msg"])
        takes = message[:1].lower() + message[1:]
    choices = _choices(schema)
    help = suggest(value, choices) if isinstance(value, str) and choices else ""
    help = help or _as_mapping(value, model)
    code = "AS0205" if _is_out_of_range(kind, value) else "AS0204"
    fail(code, span, f"{quote(name)} takes {takes}, found {describe(value)}", help)


def _inner_model(owner: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """Return the model that a mapping in a field would be read as; None if it takes none."""
    field = owner.model_fields.get(str(path[-1])) if path else None
    inner = model_of(field.annotation) if field else None
    return None if inner is None or inner[1] else inner[0]


def _as_mapping(value: Any, model: type[BaseModel] | None) -> str:
    """Return the help for a bare word that is one of the choices of the mapping it stands for."""
    for key, schema in _properties(model).items() if model and isinstance(value, str) else ():
        if value in _choices(schema):
            return f"write `{{{key}: {value}}}`"
    return ""


def _is_out_of_range(kind: str, value: Any) -> bool:
    if kind.startswith(("greater", "less", "too_", "finite")):
        return True
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and kind.endswith("_length")


def _choices(schema: dict[str, Any]) -> list[str]:
    """Return the values of an enum, or of one among the alternatives."""
    for alternative in (schema, *schema.get("anyOf", ())):
        if "enum" in alternative:
            return alternative["enum"]
    return []


# From pydantic's location of an error to the model and field


def _field(loc: Path, model: type[BaseModel]) -> tuple[Path, type[BaseModel]]:
    """Return the path of the outermost wrong field, and the model that declares it.

    A union's members are one field.
    """
    path: list[Any] = []
    for part in loc:
        path.append(part)
        if part not in model.model_fields:
            continue
        annotation = model.model_fields[part].annotation
        rest = loc[len(path) :]
        inner = model_of(annotation)
        if inner is None:
            return (*path, *rest[: _mapping_depth(annotation)]), model
        inner_model, is_mapping = inner
        if is_mapping and rest:
            # A mapping of names to models: the name is part of the path.
            path.append(rest[0])
            rest = rest[1:]
        if not rest:
            return tuple(path), model
        deeper_path, deeper_model = _field(rest, inner_model)
        return (*path, *deeper_path), deeper_model if deeper_path else model
    return tuple(path), model


def model_of(annotation: Any) -> tuple[type[BaseModel], bool] | None:
    """Return the model that a field holds, and True if it holds several by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    args: tuple[Any, ...] = get_args(annotation)
    if get_origin(annotation) is dict:
        inner = model_of(args[1])
        return (inner[0], True) if inner else None
    members = [member for member in map(model_of, args) if member]
    # `Model | None` holds a model; a union of more has members that pydantic tells apart itself.
    return members[0] if len(members) == 1 and len(args) == 2 else None


def _mapping_depth(annotation: Any) -> int:
    """Return how many mappings a field's type nests: dict[str, dict[str, X]] has two."""
    if get_origin(annotation) is not dict:
        return 0
    return 1 + _mapping_depth(get_args(annotation)[1])


def _keys(owner: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in owner.model_fields.items()]


def _schema(owner: type[BaseModel], path: Path) -> dict[str, Any]:
    """Return the schema of the value at the end of a path into the model.

    The path may go on into mappings that the owner's field holds.
    """
    properties = _properties(owner)
    names = [part for part in path if part in properties]
    if not names:
        return {}
    schema: dict[str, Any] = properties[names[-1]]
    for _ in path[path.index(names[-1]) + 1 :]:
        schema = schema.get("additionalProperties", schema)
    return schema


@cache
def _properties(owner: type[BaseModel]) -> dict[str, Any]:
    return owner.model_json_schema()["properties"]


def span_finder(tree: Tree) -> SpanOf:
    """Return a `SpanOf` into a tree: it gives the deepest part of the path that exists."""

    def span_of(path: Path, key: bool) -> Span:
        here, span = tree, tree.span
        for part in path:
            if isinstance(here, YamlMap) and str(part) in here.entries:
                span = here.key(str(part)).span
                here = here.entries[str(part)][1]
            elif isinstance(here, YamlList) and isinstance(part, int) and part < len(here.items):
                here = here.items[part]
                span = here.span
            else:
                break
        # A whole section would be underlined over many lines: its key says enough.
        is_section = isinstance(here, YamlMap) and here.start[0] != here.end[0]
        return span if key or is_section else here.span

    return span_of
