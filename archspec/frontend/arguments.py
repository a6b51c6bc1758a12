"""The types of block arguments, and how a value becomes one of them.

>>> coerce("patch", "7x7/2")
Patch(kernel=(7, 7), stride=(2,))
>>> coerce("int", 2.5)
Traceback (most recent call last):
archspec.ir.expr.ExprError: expected an int, found float `2.5`
"""

from __future__ import annotations

import math
import re
from collections.abc import Set
from typing import Any

from archspec.diagnostics import Note, Report, did_you_mean, quote
from archspec.frontend.argument_parser import ArgumentParser
from archspec.frontend.step import POISON, Argument, Parameter
from archspec.frontend.tree import Tree, YamlList, YamlMap, YamlScalar, describe_tree, is_null
from archspec.frontend.yaml import resolve_scalar
from archspec.ir.expr import ExprError, describe
from archspec.ir.types import LIMIT, Patch, positive_ints

TYPES = {
    "int": "an int",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "size": "a size such as 3 or 3x5",
    "patch": "a patch such as 3x3/2",
    "shape": "a shape such as [64, 7, 7]",
}


MAX_ARGUMENTS, MAX_NAME = 256, 100
_SHAPE = re.compile(r"\[ *[0-9]{1,18}(?: *, *[0-9]{1,18}){0,3} *\]")


def coerce(kind: str, value: Any) -> Any:
    """Return the value as an argument of that type; raise `ExprError` if it is not one."""
    result = _converted(kind, value)
    if result is None:
        raise _wrong_type(kind, value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ExprError("AS0205", f"expected a finite number, found {describe(value)}", 0, 0)
    if isinstance(value, int) and abs(value) > LIMIT:
        raise ExprError("AS0505", "the number is too large", 0, 0, "values stay below 2**62")
    return result


def _converted(kind: str, value: Any) -> Any:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case "int":
            return value if is_int else None
        case "float":
            return value if is_int or isinstance(value, float) else None
        case "bool":
            return value if isinstance(value, bool) else None
        case "str":
            return value if isinstance(value, str) else None
        case "patch":
            return _patch(value)
        case _:
            return positive_ints(value)


def _patch(value: Any) -> Patch | None:
    if isinstance(value, Patch):
        return value
    if isinstance(value, str):
        return Patch.parse(value)
    size = positive_ints(value)
    return None if size is None else Patch(size)


def _wrong_type(kind: str, value: Any) -> ExprError:
    if kind == "int" and isinstance(value, float):
        help = "divide with `//`, or use round, floor or ceil"
        return ExprError("AS0504", f"expected an int, found {describe(value)}", 0, 0, help)
    return ExprError("AS0204", f"expected {TYPES[kind]}, found {describe(value)}", 0, 0)


def infer_type(value: Any) -> str:
    """Return the type of a network argument, from its default."""
    kinds = ((bool, "bool"), (int, "int"), (float, "float"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "str")


def read_parameters(
    tree: Tree | None, parser: ArgumentParser, globals: Set[str]
) -> dict[str, Parameter]:
    """Return a block's declared arguments.

    `args` is a list of names, which are ints, or maps names to `type` or `type = default`.
    """
    parameters: dict[str, Parameter] = {}
    for key, declared in _declarations(tree, parser.report):
        name = key.text
        if name in parameters:
            message = f"the argument {quote(name)} is declared twice"
            notes = [Note("first declared", parameters[name].span)]
            parser.report.error("AS0403", key.span, message, notes=notes)
        elif check_name(key, len(parameters), parser.report):
            visible = {*parameters, *globals}
            parameters[name] = _parameter(name, key, declared, parser, visible)
    return parameters


def _declarations(tree: Tree | None, report: Report) -> list[tuple[YamlScalar, Tree | None]]:
    """Return each name under `args` with its declaration, None in a list of names."""
    if tree is None or is_null(tree):
        return []
    if isinstance(tree, YamlMap):
        return [*tree]
    if not isinstance(tree, YamlList):
        message = f"`args` is a list of names or a mapping, found {describe_tree(tree)}"
        report.error("AS0204", tree.span, message)
        return []
    names: list[tuple[YamlScalar, Tree | None]] = []
    for item in tree.items:
        if isinstance(item, YamlScalar) and item.value is not None:
            names.append((item, None))
        else:
            message = f"an argument is a name, found {describe_tree(item)}"
            report.error("AS0204", item.span, message)
    return names


def check_name(key: YamlScalar, count: int, report: Report) -> bool:
    """Return True if an argument may have that name, beside `count` others; report why not."""
    name = key.text
    if count >= MAX_ARGUMENTS:
        message = f"there are more than {MAX_ARGUMENTS} arguments in one place"
        report.stop("AS0106", key.span, message)
    if name.strip() and name != "in" and len(name) <= MAX_NAME and not set(name) & set("${}"):
        return True
    help = (
        f"a name has at most {MAX_NAME} characters, none of `${{}}`; "
        "`in` is the value that enters a step"
    )
    report.error("AS0210", key.span, f"{quote(name)} cannot be an argument's name", help=help)
    return False


def _parameter(
    name: str, key: YamlScalar, declared: Tree | None, parser: ArgumentParser, names: Set[str]
) -> Parameter:
    if declared is None:
        return Parameter(name, "int", key.span)
    if not isinstance(declared, YamlScalar) or not isinstance(declared.value, str):
        value = describe_tree(declared)
        message = f"the argument {quote(name)} is declared by its type, found {value}"
        help = "for example `int`, or `int = 3` with a default"
        parser.report.error("AS0204", declared.span, message, help=help)
        return Parameter(name, "int", key.span)
    kind, equals, default = (part.strip() for part in declared.text.partition("="))
    if kind not in TYPES:
        span = declared.span
        if kind and declared.text.startswith(kind):
            span = declared.part(0, len(kind)).span
        help = did_you_mean(kind, TYPES, "types")
        parser.report.error("AS0203", span, f"unknown type {quote(kind)}", help=help)
        return Parameter(name, "str", key.span)
    if not equals:
        return Parameter(name, kind, key.span)
    end = len(declared.text.rstrip())
    scalar = declared.part(end - len(default) if default else 0, end)
    argument = _default(name, kind, key, scalar, default, parser, names)
    return Parameter(name, kind, key.span, argument)


def _default(
    name: str,
    kind: str,
    key: YamlScalar,
    scalar: YamlScalar,
    text: str,
    parser: ArgumentParser,
    names: Set[str],
) -> Argument:
    """Return a default; a constant one is checked against its type here, once."""
    if _SHAPE.fullmatch(text):
        sizes = [int(size) for size in text[1:-1].split(",")]
        argument = Argument(key.span, scalar, constant=sizes)
    else:
        is_text = kind in ("str", "size", "patch") or "$" in text
        scalar.value = text if is_text else resolve_scalar(text)
        argument = parser.argument(key.span, scalar, names)
    if argument.expr is None and argument.constant is not POISON:
        try:
            coerce(kind, argument.constant)
        except ExprError as error:
            message = f"the default of {quote(name)}: {error.message}"
            parser.report.error(error.code, scalar.span, message, help=error.help)
            argument.constant = POISON
    return argument
