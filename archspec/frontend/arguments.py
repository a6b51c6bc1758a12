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
from archspec.frontend.body_parser import BodyReader
from archspec.frontend.step import Argument, Broken, Parameter
from archspec.frontend.tree import List, Map, Scalar, Tree
from archspec.frontend.tree import describe as describe_tree
from archspec.frontend.yaml import resolve
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
    """The value as an argument of that type; raises `ExprError`, without a place, where it is none."""
    number = isinstance(value, int) and not isinstance(value, bool)
    result: Any = None
    match kind:
        case "int" if number:
            result = value
        case "float" if number or isinstance(value, float):
            result = value
        case "bool" if isinstance(value, bool):
            result = value
        case "str" if isinstance(value, str):
            result = value
        case "patch" if isinstance(value, Patch):
            result = value
        case "patch" if isinstance(value, str):
            result = Patch.parse(value)
        case "patch" | "size" | "shape":
            size = positive_ints(value)
            result = Patch(size) if size is not None and kind == "patch" else size
        case _:
            pass
    if result is None:
        if kind == "int" and isinstance(value, float):
            help = "divide with `//`, or use round, floor or ceil"
            raise ExprError("AS0504", f"expected an int, found {describe(value)}", 0, 0, help)
        raise ExprError("AS0204", f"expected {TYPES[kind]}, found {describe(value)}", 0, 0)
    if isinstance(value, float) and not math.isfinite(value):
        raise ExprError("AS0205", f"expected a finite number, found {describe(value)}", 0, 0)
    if isinstance(value, int) and abs(value) > LIMIT:
        raise ExprError("AS0505", "the number is too large", 0, 0, "values stay below 2**62")
    return result


def type_of(value: Any) -> str:
    """The type of a network argument, told from its default."""
    kinds = ((bool, "bool"), (int, "int"), (float, "float"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "str")


def declarations(tree: Tree | None, reader: BodyReader, globals: Set[str]) -> dict[str, Parameter]:
    """A block's `args`: a list of names, which are ints, or a mapping of names to `type` or `type = default`."""
    report = reader.report
    found: dict[str, Parameter] = {}
    pairs: list[tuple[Scalar, Tree | None]] = []
    if isinstance(tree, Map):
        pairs = list(tree)
    elif isinstance(tree, List):
        for item in tree.items:
            if isinstance(item, Scalar) and item.value is not None:
                pairs.append((item, None))
            else:
                report.error(
                    "AS0204", item.span, f"an argument is a name, found {describe_tree(item)}"
                )
    elif tree is not None and tree.value is not None:
        report.error(
            "AS0204",
            tree.span,
            f"`args` is a list of names or a mapping, found {describe_tree(tree)}",
        )
    for key, declared in pairs:
        name = key.text
        if name in found:
            notes = [Note("first declared", found[name].span)]
            report.error(
                "AS0403", key.span, f"the argument {quote(name)} is declared twice", notes=notes
            )
        elif nameable(key, len(found), report):
            found[name] = _parameter(name, key, declared, reader, {*found, *globals})
    return found


def nameable(key: Scalar, others: int, report: Report) -> bool:
    """Whether that can be an argument's name, beside so many others; reports why not."""
    name = key.text
    if others >= MAX_ARGUMENTS:
        report.stop(
            "AS0106", key.span, f"there are more than {MAX_ARGUMENTS} arguments in one place"
        )
    if not name.strip() or name == "in" or any(c in name for c in "${}") or len(name) > MAX_NAME:
        help = f"a name has at most {MAX_NAME} characters, none of `${{}}`; `in` is the value that enters a step"
        report.error("AS0210", key.span, f"{quote(name)} cannot be an argument's name", help=help)
        return False
    return True


def _parameter(
    name: str, key: Scalar, declared: Tree | None, reader: BodyReader, names: Set[str]
) -> Parameter:
    if declared is None:
        return Parameter(name, "int", key.span)
    if not isinstance(declared, Scalar) or not isinstance(declared.value, str):
        message = (
            f"the argument {quote(name)} is declared by its type, found {describe_tree(declared)}"
        )
        reader.report.error(
            "AS0204", declared.span, message, help="for example `int`, or `int = 3` with a default"
        )
        return Parameter(name, "int", key.span)
    kind, equals, default = (part.strip() for part in declared.text.partition("="))
    if kind not in TYPES:
        span = (
            declared.part(0, len(kind)).span
            if kind and declared.text.startswith(kind)
            else declared.span
        )
        reader.report.error(
            "AS0203", span, f"unknown type {quote(kind)}", help=did_you_mean(kind, TYPES, "types")
        )
        return Parameter(name, "str", key.span)
    if not equals:
        return Parameter(name, kind, key.span)
    end = len(declared.text.rstrip())
    scalar = declared.part(end - len(default) if default else 0, end)
    if _SHAPE.fullmatch(default):
        argument = Argument(key.span, scalar, constant=[int(n) for n in default[1:-1].split(",")])
    else:
        scalar.value = (
            default if kind in ("str", "size", "patch") or "$" in default else resolve(default)
        )
        argument = reader.argument(key.span, scalar, names)
    if argument.expr is None and argument.constant is not Broken:
        try:
            coerce(kind, argument.constant)
        except ExprError as error:
            message = f"the default of {quote(name)}: {error.message}"
            reader.report.error(error.code, scalar.span, message, help=error.help)
            argument.constant = Broken
    return Parameter(name, kind, key.span, argument)
