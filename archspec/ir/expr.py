"""The expression language of specs: syntax tree, values, evaluation.

`frontend/expr_parser.py` parses it from text.

>>> double = Apply("*", (Name("#3x3 reduce", (2, 13)), Const(2, (16, 17))), (2, 17))
>>> evaluate(double, {"#3x3 reduce": 96})
192

Values are integers, floats, bools, strings, sizes (tuples), patches, and `in`, the features that
enter a step.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from archspec.diagnostics import did_you_mean, quote
from archspec.ir.types import LIMIT, Patch, Shape, format_shape

MAX_TEXT = 1000

Value = int | float | bool | str | tuple[int, ...] | Patch | list[Any]


class ExprError(Exception):
    """An expression that cannot be parsed or evaluated; `start`, `end` are offsets in its text."""

    def __init__(self, code: str, message: str, start: int, end: int, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.start = start
        self.end = end
        self.help = help


@dataclass(frozen=True, slots=True)
class Const:
    value: int | float | bool | str
    at: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    at: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Attribute:
    of: Expr
    name: str
    at: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or function: `+`, `<=`, `not`, `if`, `min`, ...; `join` for interpolated text."""

    op: str
    args: tuple[Expr, ...]
    at: tuple[int, int]


Expr = Const | Name | Attribute | Apply


_AXES = {
    2: ("channels", "length"),
    3: ("channels", "height", "width"),
    4: ("channels", "depth", "height", "width"),
}


@dataclass(frozen=True, slots=True)
class Features:
    """The value of `in`: the features that enter a step."""

    shape: Shape

    def names(self) -> tuple[str, ...]:
        return ("rank", *_AXES.get(len(self.shape), ("channels",)))

    def get(self, name: str) -> int:
        return len(self.shape) - 1 if name == "rank" else self.shape[self.names().index(name) - 1]

    def __str__(self) -> str:
        return format_shape(self.shape)


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": lambda a, b: a // b,
    "%": operator.mod,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def evaluate(expr: Expr, env: Mapping[str, Any]) -> Any:
    """Return the value of an expression with names from `env`; raise `ExprError`."""
    match expr:
        case Const(value, _):
            return value
        case Name(name, at):
            if name not in env:
                help = did_you_mean(name, env, "arguments")
                raise ExprError("AS0401", f"undefined argument {quote(name)}", *at, help)
            return env[name]
        case Attribute(of, name, at):
            return _attribute(evaluate(of, env), name, at)
        case Apply("if", (test, then, other), _):
            return evaluate(then if _truth(evaluate(test, env), test.at) else other, env)
        case Apply("and" | "or" as op, (left, right), _):
            first = _truth(evaluate(left, env), left.at)
            return first if first == (op == "or") else _truth(evaluate(right, env), right.at)
        case Apply(op, args, at):
            return _apply(op, [evaluate(a, env) for a in args], at)


def _attribute(value: Any, name: str, at: tuple[int, int]) -> Any:
    if isinstance(value, Features):
        if name in value.names():
            return value.get(name)
        message = f"features of shape {value} have no {quote(name)}"
        raise ExprError("AS0506", message, *at, did_you_mean(name, value.names(), "attributes"))
    if isinstance(value, Patch) and name in Patch._fields:
        return getattr(value, name)
    fields = Patch._fields if isinstance(value, Patch) else ()
    help = did_you_mean(name, fields, "attributes")
    raise ExprError("AS0506", f"{describe(value)} has no {quote(name)}", *at, help)


def _truth(value: Any, at: tuple[int, int]) -> bool:
    if isinstance(value, bool):
        return value
    raise ExprError("AS0506", f"expected true or false, found {describe(value)}", *at)


def _apply(op: str, args: list[Any], at: tuple[int, int]) -> Any:
    if op == "join" or (op == "+" and all(isinstance(a, str) for a in args)):
        text = "".join(_text(a) for a in args)
        if len(text) > MAX_TEXT:  # or texts that double from block to block fill the memory
            raise ExprError("AS0505", f"the text has more than {MAX_TEXT:,} characters", *at)
        return text
    if op == "not":
        return not _truth(args[0], at)
    if op in ("==", "!="):
        return (args[0] == args[1]) == (op == "==")
    if op in ("<", "<=", ">", ">=") and all(isinstance(a, str) for a in args):
        return _BINARY[op](*args)
    return _arithmetic(op, args, at)


def _arithmetic(op: str, args: list[Any], at: tuple[int, int]) -> Any:
    for value in args:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ExprError("AS0506", f"`{op}` works on numbers, found {describe(value)}", *at)
    try:
        result = _number(op, args)
    except ZeroDivisionError:
        raise ExprError("AS0503", "division by zero", *at) from None
    except OverflowError:
        result = math.inf
    except ValueError:  # round, floor or ceil of NaN
        result = math.nan
    if isinstance(result, complex) or result != result:
        raise ExprError("AS0506", f"`{op}` has no real value here", *at)
    if not isinstance(result, bool) and abs(result) > LIMIT:
        raise ExprError("AS0505", "the result is too large", *at, "values stay below 2**62")
    return result


def _number(op: str, args: list[Any]) -> Any:
    match op:
        case "neg":
            return -args[0]
        case "/":
            return _divide(*args)
        case "**":
            return _power(*args)
        case "min" | "max":
            return (min if op == "min" else max)(args)
        case "round":  # halves go up; integers stay as they are, however large
            return args[0] if isinstance(args[0], int) else math.floor(args[0] + 0.5)
        case "floor" | "ceil":
            return (math.floor if op == "floor" else math.ceil)(args[0])
        case _:
            return _BINARY[op](*args)


def _divide(a: int | float, b: int | float) -> int | float:
    """Divide; the result stays an int if it is exact, so that $channels/2 is a channel count."""
    if isinstance(a, int) and isinstance(b, int) and b and a % b == 0:
        return a // b
    return a / b


def _power(base: int | float, power: int | float) -> Any:
    """Raise to a power; the result of a negative base may be complex."""
    if isinstance(base, int) and abs(base) > 1 and power > 62:
        return math.inf  # beyond any bound, and slow to compute exactly
    return base**power


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple) and not isinstance(value, Patch):
        return format_shape(cast("Shape", value))
    return str(value)


_KINDS: Mapping[type[Any], str] = {
    str: "string",
    tuple: "size",
    dict: "mapping",
    type(None): "nothing",
}


def describe(value: Any) -> str:
    """Return a value as messages name it: its kind, then itself."""
    kind = cast("type[Any]", type(value))
    shown = "" if kind in (dict, type(None)) else " " + quote(_text(value))
    return _KINDS.get(kind, kind.__name__.lower()) + shown


def names_in(expr: Expr) -> frozenset[str]:
    """Return the names of arguments that an expression reads."""
    match expr:
        case Const():
            return frozenset()
        case Name(name, _):
            return frozenset((name,))
        case Attribute(of, _, _):
            return names_in(of)
        case Apply(_, args, _):
            return frozenset[str]().union(*map(names_in, args))
