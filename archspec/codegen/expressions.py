"""Spec expressions over the parameters of a class, and how they print as Python.

>>> to_python(apply("//", apply("+", name("out"), const(1)), const(2)))
'(out + 1) // 2'
>>> to_python(sum_of([name("in_channels"), const(0), name("growth")]))
'in_channels + growth'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from archspec.codegen.literals import literal
from archspec.ir.expr import Apply, Attribute, Const, Expr, ExprError, Name, evaluate

_NO_SPAN = (0, 0)
_PRECEDENCE = {
    "if": 0,
    "or": 1,
    "and": 2,
    "not": 3,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "//": 6,
    "%": 6,
    "neg": 7,
    "**": 8,
}
_COMPARISON = 4
_ATOM = 9
_FUNCTIONS = {"min": "min", "max": "max", "floor": "math.floor", "ceil": "math.ceil"}
TUPLE = "tuple"


def name(text: str) -> Name:
    return Name(text, _NO_SPAN)


def const(value: Any) -> Const:
    return Const(value, _NO_SPAN)


def apply(op: str, *args: Expr) -> Expr:
    """Return an operation, or its result if all operands are constants."""
    operation = Apply(op, args, _NO_SPAN)
    if all(isinstance(arg, Const) for arg in args):
        try:
            return const(evaluate(operation, {}))
        except ExprError:
            return operation
    return operation


def sum_of(terms: Iterable[Expr]) -> Expr:
    """Return a sum, with its constants added up and put last."""
    parts = [part for term in terms for part in summands(term)]
    number = sum(
        part.value for part in parts if isinstance(part, Const) and isinstance(part.value, int)
    )
    symbolic: list[Expr] = [part for part in parts if not isinstance(part, Const)]
    if number or not symbolic:
        symbolic.append(const(number))
    return join_operands("+", symbolic)


def summands(expr: Expr) -> tuple[Expr, ...]:
    """Return the terms of a sum; an expression that is not a sum is its own only term."""
    if isinstance(expr, Apply) and expr.op == "+":
        return tuple(part for arg in expr.args for part in summands(arg))
    return (expr,)


def product_of(factors: Iterable[Expr]) -> Expr:
    """Return a product as one would write it, `out * 7 * 7`; a constant if all factors are."""
    parts = [part for part in factors if part != const(1)] or [const(1)]
    if all(isinstance(part, Const) for part in parts):
        return reduce(lambda a, b: apply("*", a, b), parts)
    return join_operands("*", parts)


def join_operands(op: str, parts: Sequence[Expr]) -> Expr:
    """Return `a + b + c` for any operator, without evaluating constants."""
    return reduce(lambda a, b: Apply(op, (a, b), _NO_SPAN), parts)


def rewrite(expr: Expr, leaf: Callable[[Expr], Expr | None]) -> Expr | None:
    """Replace names, attributes and constants; return None if one of them has no replacement."""
    if not isinstance(expr, Apply):
        return leaf(expr)
    args = _all_or_none([rewrite(arg, leaf) for arg in expr.args])
    return None if args is None else apply(expr.op, *args)


def substitute(expr: Expr, values: Mapping[str, Expr | None], *, keep: bool = False) -> Expr | None:
    """Replace names by expressions.

    A name without a value stays if `keep`, else the result is None.
    """

    def leaf(part: Expr) -> Expr | None:
        if not isinstance(part, Name):
            return part
        return values.get(part.name, part if keep else None)

    result = rewrite(expr, leaf)
    if isinstance(result, Apply) and result.op == "+":
        return sum_of([result])
    return result


def value_of(expr: Expr, env: Mapping[str, Any]) -> Any:
    """Evaluate in an environment; a failure gives an `ExprError` object, which equals nothing."""
    if isinstance(expr, Apply) and expr.op == TUPLE:
        return tuple(value_of(arg, env) for arg in expr.args)
    try:
        return evaluate(expr, env)
    except ExprError as error:
        return error


def tuple_of(parts: list[Expr]) -> Expr:
    """Return a tuple. Specs have no syntax for it: only `value_of` and `to_python` know it."""
    constants = [part.value for part in parts if isinstance(part, Const)]
    if len(constants) == len(parts):
        return const(tuple(constants))
    return Apply(TUPLE, tuple(parts), _NO_SPAN)


def python_division(expr: Expr, envs: Sequence[Mapping[str, Any]]) -> Expr | None:
    """Turn `/` into Python's operators: `//` where it is exact in all environments.

    Return None if it is exact in some environments only.
    """
    if not isinstance(expr, Apply):
        return expr
    args = _all_or_none([python_division(arg, envs) for arg in expr.args])
    if args is None:
        return None
    result = Apply(expr.op, args, _NO_SPAN)
    if expr.op != "/":
        return result
    is_exact = {isinstance(value_of(result, env), int) for env in envs}
    if is_exact == {True}:
        return Apply("//", result.args, _NO_SPAN)
    return result if is_exact == {False} else None


def _all_or_none(exprs: list[Expr | None]) -> tuple[Expr, ...] | None:
    present = tuple(expr for expr in exprs if expr is not None)
    return present if len(present) == len(exprs) else None


def to_python(expr: Expr) -> str:
    """Return the expression as Python source, with the brackets that it needs."""
    return _source(expr)[0]


def _source(expr: Expr) -> tuple[str, int]:
    """Return the source of an expression and its precedence."""
    match expr:
        case Const(value, _):
            is_negative = isinstance(value, int | float) and value < 0
            return literal(value), _PRECEDENCE["neg"] if is_negative else _ATOM
        case Name(text, _):
            return text, _ATOM
        case Attribute():
            raise ValueError("an attribute has no Python form")
        case Apply(op, args, _) if op == TUPLE:
            comma = "," if len(args) == 1 else ""
            return f"({', '.join(map(to_python, args))}{comma})", _ATOM
        case Apply("round", (arg,), _):
            return f"math.floor({_bracketed(arg, 5)} + 0.5)", _ATOM
        case Apply(op, args, _) if op in _FUNCTIONS:
            return f"{_FUNCTIONS[op]}({', '.join(map(to_python, args))})", _ATOM
        case Apply(op, args, _):
            return _operation(op, args)


def _operation(op: str, args: Sequence[Expr]) -> tuple[str, int]:
    match op, args:
        case "if", (test, then, other):
            return f"{_bracketed(then, 1)} if {_bracketed(test, 1)} else {_bracketed(other, 0)}", 0
        case "not", (arg,):
            return f"not {_bracketed(arg, 3)}", 3
        case "neg", (arg,):
            return f"-{_bracketed(arg, 7)}", 7
        case "**", (base, power):
            simple = isinstance(base, Name | Const) and isinstance(power, Name | Const)
            space = "" if simple else " "
            return f"{_bracketed(base, 9)}{space}**{space}{_bracketed(power, 7)}", 8
        case _, (left, right):
            level = _PRECEDENCE.get(op, _COMPARISON)
            # Comparisons do not chain, and the right operand of - and // is bracketed.
            left_source = _bracketed(left, level + (level == _COMPARISON))
            return f"{left_source} {op} {_bracketed(right, level + 1)}", level
        case _:
            raise ValueError(f"{op} has no Python form")


def _bracketed(expr: Expr, level: int) -> str:
    """Return the source of an operand, in brackets if it binds less than `level`."""
    text, precedence = _source(expr)
    return text if precedence >= level else f"({text})"
