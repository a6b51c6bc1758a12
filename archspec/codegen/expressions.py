"""Spec expressions as Python: over the parameters of a class, printed as source.

>>> to_python(apply("//", apply("+", name("out"), const(1)), const(2)))
'(out + 1) // 2'
>>> to_python(sum_of([name("in_channels"), const(0), name("growth")]))
'in_channels + growth'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from archspec.codegen.literals import literal
from archspec.ir.expr import Apply, Attribute, Const, Expr, ExprError, Name, evaluate, names_in

_AT = (0, 0)
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
_CALLS = {"min": "min", "max": "max", "floor": "math.floor", "ceil": "math.ceil"}
_ATOM = 9
TUPLE = "tuple"


def name(text: str) -> Name:
    return Name(text, _AT)


def const(value: Any) -> Const:
    return Const(value, _AT)


def apply(op: str, *args: Expr) -> Expr:
    """An operation, carried out where its operands are numbers."""
    made = Apply(op, args, _AT)
    if all(isinstance(arg, Const) for arg in args):
        try:
            return const(evaluate(made, {}))
        except ExprError:
            return made
    return made


def sum_of(terms: Iterable[Expr]) -> Expr:
    """Their sum, its numbers added up and put last."""
    parts = [part for term in terms for part in summands(term)]
    number = sum(
        part.value for part in parts if isinstance(part, Const) and isinstance(part.value, int)
    )
    named = [part for part in parts if not isinstance(part, Const)]
    return join_operands("+", [*named, const(number)] if number or not named else named)


def summands(expr: Expr) -> tuple[Expr, ...]:
    """The terms of a sum; an expression that is none is its own only term."""
    if isinstance(expr, Apply) and expr.op == "+":
        return tuple(part for arg in expr.args for part in summands(arg))
    return (expr,)


def product_of(factors: Iterable[Expr]) -> Expr:
    """Their product, as it is spoken: `out * 7 * 7`, and a number where all are numbers."""
    parts = [part for part in factors if part != const(1)] or [const(1)]
    return (
        apply_all("*", parts)
        if all(isinstance(part, Const) for part in parts)
        else join_operands("*", parts)
    )


def apply_all(op: str, parts: Sequence[Expr]) -> Expr:
    result = parts[0]
    for part in parts[1:]:
        result = apply(op, result, part)
    return result


def join_operands(op: str, parts: Sequence[Expr]) -> Expr:
    """`a + b + c`, nothing carried out."""
    result = parts[0]
    for part in parts[1:]:
        result = Apply(op, (result, part), _AT)
    return result


def rewrite(expr: Expr, leaf: Callable[[Expr], Expr | None]) -> Expr | None:
    """The expression with its names, attributes and constants replaced; None where one of them has no replacement."""
    if not isinstance(expr, Apply):
        return leaf(expr)
    args = [rewrite(arg, leaf) for arg in expr.args]
    known = [arg for arg in args if arg is not None]
    return apply(expr.op, *known) if len(known) == len(args) else None


def substitute(expr: Expr, values: Mapping[str, Expr | None], *, keep: bool = False) -> Expr | None:
    """The expression in other words; a name that has none stays if `keep`, else there is no expression."""

    def leaf(part: Expr) -> Expr | None:
        return values.get(part.name, part if keep else None) if isinstance(part, Name) else part

    found = rewrite(expr, leaf)
    return sum_of([found]) if isinstance(found, Apply) and found.op == "+" else found


def value_of(expr: Expr, env: Mapping[str, Any]) -> Any:
    """What it gives in an environment; an `ExprError` object, equal to nothing, where it fails."""
    if isinstance(expr, Apply) and expr.op == TUPLE:
        return tuple(value_of(arg, env) for arg in expr.args)
    try:
        return evaluate(expr, env)
    except ExprError as error:
        return error


def tuple_of(parts: list[Expr]) -> Expr:
    """A tuple, which the language of specs has no word for; only `value_of` and `show` know it."""
    constants = [part.value for part in parts if isinstance(part, Const)]
    return (
        const(tuple(constants)) if len(constants) == len(parts) else Apply(TUPLE, tuple(parts), _AT)
    )


def python_division(expr: Expr, envs: Sequence[Mapping[str, Any]]) -> Expr | None:
    """`/` as Python means it: exact division becomes `//`; None where it is exact in some places alone."""
    if not isinstance(expr, Apply):
        return expr
    args = [python_division(arg, envs) for arg in expr.args]
    known = [arg for arg in args if arg is not None]
    if len(known) < len(args):
        return None
    settled = Apply(expr.op, tuple(known), _AT)
    if expr.op != "/":
        return settled
    exact = {isinstance(value_of(settled, env), int) for env in envs}
    if exact == {True}:
        return Apply("//", settled.args, _AT)
    return settled if exact == {False} else None


def to_python(expr: Expr) -> str:
    """The expression as Python source, with the brackets that it needs."""
    return _show(expr)[0]


def _show(expr: Expr) -> tuple[str, int]:
    match expr:
        case Const(value, _):
            return literal(value), 7 if isinstance(value, int | float) and value < 0 else _ATOM
        case Name(text, _):
            return text, _ATOM
        case Attribute():
            raise ValueError("an attribute has no Python form")
        case Apply(op, args, _) if op == TUPLE:
            return f"({', '.join(map(to_python, args))}{',' if len(args) == 1 else ''})", _ATOM
        case Apply("round", (arg,), _):
            return f"math.floor({_inside(arg, 5)} + 0.5)", _ATOM
        case Apply(op, args, _) if op in _CALLS:
            return f"{_CALLS[op]}({', '.join(map(to_python, args))})", _ATOM
        case Apply("if", (test, then, other), _):
            return f"{_inside(then, 1)} if {_inside(test, 1)} else {_inside(other, 0)}", 0
        case Apply("not", (arg,), _):
            return f"not {_inside(arg, 3)}", 3
        case Apply("neg", (arg,), _):
            return f"-{_inside(arg, 7)}", 7
        case Apply("**", (base, power), _):
            space = (
                "" if isinstance(base, Name | Const) and isinstance(power, Name | Const) else " "
            )
            return f"{_inside(base, 9)}{space}**{space}{_inside(power, 7)}", 8
        case Apply(op, (left, right), _):
            level = _PRECEDENCE.get(op, 4)
            # Comparisons do not chain, and the right operand of - and // is bracketed.
            return f"{_inside(left, level + (level == 4))} {op} {_inside(right, level + 1)}", level
        case Apply(op, _, _):
            raise ValueError(f"{op} has no Python form")


def _inside(expr: Expr, level: int) -> str:
    text, own = _show(expr)
    return text if own >= level else f"({text})"


def parameters(expr: Expr) -> frozenset[str]:
    """The names that it reads."""
    return names_in(expr)
