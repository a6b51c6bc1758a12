"""Expressions as Python source: they evaluate there to what they are in a spec."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archspec.codegen.expressions import (
    apply,
    const,
    name,
    product_of,
    python_division,
    substitute,
    sum_of,
    to_python,
    tuple_of,
    value_of,
)
from archspec.ir.expr import Apply, Expr, ExprError

ENV = {"a": 7, "b": 3, "c": 1}
LEAVES: st.SearchStrategy[Expr] = st.one_of(
    st.sampled_from([*ENV]).map(name), st.integers(-4, 9).map(const)
)


def operations(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    """Operations that are not evaluated, so that brackets matter."""

    def of(ops: str, count: int) -> st.SearchStrategy[Expr]:
        args = st.tuples(*[inner] * count)
        return st.builds(
            lambda op, args: Apply(op, args, (0, 0)), st.sampled_from(ops.split()), args
        )

    test = of("< <= == != > >=", 2)
    choice = st.tuples(test, inner, inner).map(lambda args: Apply("if", args, (0, 0)))
    return st.one_of(of("+ - * / // %", 2), of("min max", 2), of("neg floor ceil round", 1), choice)


@given(st.recursive(LEAVES, operations, max_leaves=8))
def test_the_source_has_the_value_of_the_expression(expr: Expr) -> None:
    expected = value_of(expr, ENV)
    source = python_division(expr, [ENV])
    assume(not isinstance(expected, ExprError) and source is not None)
    assert source is not None
    assert eval(to_python(source), {"math": math}, dict(ENV)) == expected


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (sum_of([const(1), name("a"), const(2)]), "a + 3"),
        (sum_of([const(0), const(0)]), "0"),
        (product_of([name("out"), const(1), const(7), const(7)]), "out * 7 * 7"),
        (product_of([const(2), const(3)]), "6"),
        (apply("//", name("a"), const(2)), "a // 2"),
        (apply("-", name("a"), apply("-", name("b"), name("c"))), "a - (b - c)"),
        (tuple_of([name("a"), const(7)]), "(a, 7)"),
        (tuple_of([name("a")]), "(a,)"),
        (tuple_of([const(1), const(2)]), "(1, 2)"),
    ],
)
def test_sources(expr: Expr, expected: str) -> None:
    assert to_python(expr) == expected


def test_division_is_exact_everywhere_or_nowhere() -> None:
    half = apply("/", name("a"), const(2))
    envs: list[dict[str, Any]] = [{"a": 4}, {"a": 6}]
    exact = python_division(half, envs)
    assert exact is not None
    assert to_python(exact) == "a // 2"
    assert python_division(half, [{"a": 4}, {"a": 5}]) is None
    inexact = python_division(half, [{"a": 3}, {"a": 5}])
    assert inexact is not None
    assert to_python(inexact) == "a / 2"


def test_a_name_without_a_value_stays_only_where_it_may() -> None:
    expr = apply("+", name("a"), name("b"))
    assert substitute(expr, {"a": const(1)}) is None
    kept = substitute(expr, {"a": const(1)}, keep=True)
    assert kept is not None
    assert to_python(kept) == "b + 1"
