"""Expressions as text: what they mean, held against Python's own `eval`, and where a mistake in one is shown."""

from __future__ import annotations

import ast
import math
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from archspec.frontend.expr_parser import parse_expression
from archspec.ir.expr import Apply, Attribute, Expr, ExprError, Features, Name, evaluate, names_in
from archspec.ir.types import LIMIT, Patch

NAMES = {
    "n": 4,
    "wide": True,
    "s": "abc",
    "#3x3 reduce": 96,
    "pool proj": 32,
    "patch/stride": Patch((7, 7), (2,)),
    "a": 2,
    "b": 3,
}
ENV: dict[str, Any] = {**NAMES, "k": (3, 5), "half": 0.5, "in": Features((64, 28, 14))}


def value(text: str) -> Any:
    expr = parse_expression(text, frozenset(ENV))
    return expr if isinstance(expr, str) else evaluate(expr, ENV)


def refused(text: str) -> tuple[str, str, str, str]:
    """Code, the text at fault, message and help."""
    with pytest.raises(ExprError) as caught:
        value(text)
    error = caught.value
    return error.code, text[error.start : error.end], error.message, error.help


# Values

NUMBERS = ("0", "1", "2", "3", "7", "0.5", "2.25", "1e2", "n", "a", "b")
LEAVES = {True: ("true", "false", "wide"), False: NUMBERS}


@st.composite
def expressions(draw: st.DrawFn, boolean: bool, depth: int = 4) -> str:
    """A text of our language with as few brackets as chance will have it."""
    inner = lambda kind: draw(expressions(kind, depth - 1))
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(LEAVES[boolean]))
    if draw(st.integers(0, 5)) == 0:
        return f"({inner(boolean)})"
    if draw(st.integers(0, 7)) == 0:
        return f"({inner(boolean)} if {inner(True)} else {inner(boolean)})"
    if boolean:
        way = draw(st.sampled_from(["and", "or", "not", "compare", "compare", "same"]))
        if way == "not":
            return f"not {inner(True)}" if draw(st.booleans()) else f"(not {inner(True)})"
        if way == "compare":
            return f"({inner(False)} {draw(st.sampled_from(['==', '!=', '<', '<=', '>', '>=']))} {inner(False)})"
        return (
            f"(({inner(True)}) == ({inner(True)}))"
            if way == "same"
            else f"{inner(True)} {way} {inner(True)}"
        )
    way = draw(
        st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "neg", "min", "max", "floor", "ceil"])
    )
    if way == "neg":
        return f"-{inner(False)}"
    if way in ("min", "max"):
        return f"{way}({', '.join(inner(False) for _ in range(draw(st.integers(2, 4))))})"
    if way in ("floor", "ceil"):
        return f"{way}({inner(False)})"
    space = draw(st.sampled_from(["", " "]))
    return f"{inner(False)}{space}{way}{space}{inner(False)}"


PYTHON: dict[str, Any] = {
    "true": True,
    "false": False,
    "min": min,
    "max": max,
    "floor": math.floor,
    "ceil": math.ceil,
}


def pythons(text: str) -> Any:
    """What Python makes of it, or the code that stands for its error."""
    try:
        found = eval(text, {"__builtins__": {}}, {**PYTHON, **NAMES})
    except ZeroDivisionError:
        return "AS0503"
    except OverflowError:
        return "AS0505"
    except TypeError:  # a comparison or function of complex numbers
        return "AS0506"
    return "AS0506" if isinstance(found, complex) else found


def within(text: str) -> bool:
    """Whether every part of it, computed or not, stays small and real."""
    parts = (
        node for node in ast.walk(ast.parse(text, mode="eval").body) if isinstance(node, ast.expr)
    )
    values = (
        pythons(ast.unparse(part))
        for part in parts
        if not isinstance(part, ast.Name) or part.id in NAMES
    )
    return not any(
        isinstance(v, str) or (isinstance(v, int | float) and abs(v) > LIMIT) for v in values
    )


@given(st.one_of(expressions(True), expressions(False)))
@example("-2 ** 2")
@example("2 ** -1 ** 2")
@example("2 ** 3 ** 2")
@example("7 - 2 - 1")
@example("not 1 == 2")
@example("true or false and false")
@example("-7 // 2 * 2 + -7 % 2")
@example("1 if false else 2 if false else 3")
def test_expressions_mean_what_they_mean_in_python(text: str) -> None:
    assume(len(text) < 1500)
    expected = pythons(text)
    try:
        found = value(f"${{{text}}}")
    except ExprError as error:
        assert error.code == expected or not within(text), (text, expected, error.message)
    else:
        assert found == expected, text
        assert isinstance(found, bool) == isinstance(expected, bool)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${6 / 3}", 2), ("${7 / 2}", 3.5), ("${6.0 / 3}", 2.0), ("${-6 / 3}", -2), ("${2 ** -1}", 0.5), ("${2 ** 62}", 2**62),
        ("${round(2.5)}", 3), ("${round(3.5)}", 4), ("${round(-2.5)}", -2), ("${round(0.4)}", 0), ("${round(7)}", 7),
        ("${round(4611686018427387903)}", 4611686018427387903), ("${floor(-0.5)}", -1), ("${ceil(-0.5)}", 0),
        ("${min(3)}", 3), ("${max(1, 2.5)}", 2.5), ("${3 - -2}", 5), ("${.5 + 1.}", 1.5), ("${1e3}", 1000.0),
    ],
)  # fmt: skip
def test_numbers_keep_their_type(text: str, expected: float) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"), ("$n", 4), ("${n}", 4), ("${ n }", 4), ("$wide", True), ("$s", "abc"), ("$k", (3, 5)),
        ("conv$n", "conv4"), ("${n}x${n}x64", "4x4x64"), ("$n$n", "44"), ("$n ", "4 "), ("is $wide", "is true"), ("k $k", "k 3x5"),
        ("$patch/stride", Patch((7, 7), (2,))), ("p $patch/stride", "p 7x7/2"), ("in $in", "in 64x28x14"), ("$half.", "0.5."),
        ("$$", "$"), ("$$n", "$n"), ("a$$b", "a$b"), ("$$$n", "$4"), ("5$$ and $n", "5$ and 4"),
        ("${'a' + \"b\"}", "ab"), ("${s + 'd'}", "abcd"), ("${'a' < 'b'}", True), ("${s == 'abc'}", True), ("${'it' == s}", False),
        ("$in.channels", 64), ("$in.height", 28), ("$in.width", 14), ("$in.rank", 2), ("${in.height * in.width}", 392),
        ("$patch/stride.kernel", (7, 7)), ("${patch/stride.stride}", (2,)), ("${n == 4 and s != 'x'}", True),
        ("${1 == '1'}", False), ("${wide == 1}", True), ("${k == k}", True),
    ],
)  # fmt: skip
def test_a_text_holds_expressions(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$#3x3 reduce", 96), ("${#3x3 reduce * 2}", 192), ("${#3x3 reduce*2}", 192), ("${pool proj//2}", 16),
        ("${a/b}", 7), ("${a /b}", 2 / 3), ("${a b}", 11), ("$a b", 11), ("${ab}", 5), ("$ab", 5), ("$a_", None), ("${a+b}", 5),
    ],
)  # fmt: skip
def test_the_longest_name_wins_and_stands_whole(text: str, expected: Any) -> None:
    env = {"#3x3 reduce": 96, "pool proj": 32, "a": 2, "b": 3, "a/b": 7, "a b": 11, "ab": 5}
    if expected is None:
        with pytest.raises(ExprError):
            parse_expression(text, frozenset(env))
    else:
        expr = parse_expression(text, frozenset(env))
        assert not isinstance(expr, str)
        assert evaluate(expr, env) == expected


@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        ((5,), {"channels": 5, "rank": 0}),
        ((5, 7), {"channels": 5, "length": 7, "rank": 1}),
        ((5, 7, 9), {"channels": 5, "height": 7, "width": 9, "rank": 2}),
        ((5, 7, 9, 11), {"channels": 5, "depth": 7, "height": 9, "width": 11, "rank": 3}),
    ],
)
def test_the_parts_of_in_go_by_its_rank(shape: tuple[int, ...], parts: dict[str, int]) -> None:
    for part in ("channels", "length", "depth", "height", "width", "rank"):
        expr = parse_expression(f"$in.{part}", {"in"})
        assert not isinstance(expr, str)
        if part in parts:
            assert evaluate(expr, {"in": Features(shape)}) == parts[part]
        else:
            with pytest.raises(ExprError, match=f"have no `{part}`") as caught:
                evaluate(expr, {"in": Features(shape)})
            assert caught.value.code == "AS0506"


def test_logic_computes_no_more_than_it_needs() -> None:
    assert value("${false and 1 / 0 == 1}") is False
    assert value("${true or 1 / 0 == 1}") is True
    assert value("${2 if true else 1 / 0}") == 2


def test_names_in_an_expression() -> None:
    expr = parse_expression("${n + min(a, in.height) if wide else 3}x$s", frozenset(ENV))
    assert not isinstance(expr, str)
    assert names_in(expr) == {"n", "a", "in", "wide", "s"}


@given(st.one_of(expressions(True), expressions(False)))
def test_every_part_of_a_tree_marks_its_text(text: str) -> None:
    whole = f"${{ {text} }}"
    expr = parse_expression(whole, frozenset(ENV))
    assert not isinstance(expr, str)

    def check(part: Expr) -> None:
        piece = whole[part.at[0] : part.at[1]]
        assert piece == piece.strip()
        if isinstance(part, Name):
            assert piece == part.name
        inner = (
            part.args
            if isinstance(part, Apply)
            else (part.of,)
            if isinstance(part, Attribute)
            else ()
        )
        for child in inner:
            assert part.at[0] <= child.at[0] < child.at[1] <= part.at[1]
            check(child)
        # A part read by itself is the same: the text is all of it, whatever brackets stand around it.
        alone = parse_expression(f"${{{piece}}}", frozenset(ENV))
        assert not isinstance(alone, str)
        assert shape(alone) == shape(part)

    check(expr)


def shape(expr: Expr) -> Any:
    """A tree without its places."""
    match expr:
        case Apply(op, args, _):
            return (op, *map(shape, args))
        case Attribute(of, name, _):
            return (shape(of), name)
        case Name(name, _):
            return name
        case _:
            return repr(expr.value)


# Mistakes


@pytest.mark.parametrize(
    ("text", "code", "mark", "message", "help"),
    [
        ("${n +}", "AS0501", "", "expected a value, found the end", ""),
        ("${}", "AS0501", "", "expected a value, found the end", ""),
        ("${n n}", "AS0501", "n", "unexpected `n`", ""),
        ("${n = 4}", "AS0501", "= 4", "unexpected `= 4`", "`==`"),
        ("${(n + 1}", "AS0501", "", "expected `)`", ""),
        ("${min(n, 1}", "AS0501", "", "expected `)`", ""),
        ("${n; 1}", "AS0501", "; 1", "unexpected `; 1`", ""),
        ("${1 < n < 3}", "AS0501", "<", "comparisons do not chain", ""),
        ("${1 if wide}", "AS0501", "", "expected `else`", ""),
        ("${'abc}", "AS0501", "'", "the string does not end", ""),
        ("${n", "AS0501", "${", "not closed", ""),
        ("${lambda: 1}", "AS0401", "lambda", "undefined argument `lambda`", ""),
        ("costs 5$", "AS0501", "$", "`$` starts an expression", "`$$`"),
        ("$ n", "AS0501", "$", "`$` starts an expression", "`$$`"),
        ("${@n}", "AS0501", "@", "expected a value, found `@`", ""),
        ("${[1]}", "AS0501", "[", "expected a value, found `[`", ""),
        ("${in.}", "AS0501", "", "expected a name after the dot", ""),
        ("${min()}", "AS0501", ")", "expected a value, found `)`", ""),
        ("${1 + round(1, 2)}", "AS0501", "round(1, 2)", "`round` takes one value, found 2", ""),
        ("${max(1,1,1,1,1,1,1,1,1,1)}", "AS0501", "max(1,1,1,1,1,1,1,1,1,1)", "`max` takes 1 to 9 values, found 10", ""),
        ("${1 + abs(n)}", "AS0502", "abs", "unknown function `abs`", "known functions: `min`"),
        ("${flor(n)}", "AS0502", "flor", "unknown function `flor`", "did you mean `floor`?"),
        ("${__import__('os')}", "AS0502", "__import__", "unknown function", "functions"),
        ("$wid", "AS0401", "wid", "undefined argument `wid`", "did you mean `wide`?"),
        ("a${1 + pool}b", "AS0401", "pool", "undefined argument `pool`", "`pool proj`"),
        ("${n / (a - 2)}", "AS0503", "n / (a - 2)", "division by zero", ""),
        ("${1 + n // 0}", "AS0503", "n // 0", "division by zero", ""),
        ("${n % 0}", "AS0503", "n % 0", "division by zero", ""),
        ("${0 ** -1}", "AS0503", "0 ** -1", "division by zero", ""),
        ("${2 ** 63}", "AS0505", "2 ** 63", "too large", "2**62"),
        ("${10 ** 99}", "AS0505", "10 ** 99", "too large", "2**62"),
        ("${1e300 * 1e300}", "AS0505", "1e300 * 1e300", "too large", "2**62"),
        ("${99999999999999999999}", "AS0505", "99999999999999999999", "too large", "2**62"),
        ("${1e999}", "AS0505", "1e999", "too large", "2**62"),
        ("${2 ** 62 + 1}", "AS0505", "2 ** 62 + 1", "too large", "2**62"),
        ("${-(2 ** 62) - 1}", "AS0505", "-(2 ** 62) - 1", "too large", "2**62"),
        ("${s * 2}", "AS0506", "s * 2", "`*` works on numbers, found string `abc`", ""),
        ("${n + s}", "AS0506", "n + s", "`+` works on numbers, found string `abc`", ""),
        ("${wide + 1}", "AS0506", "wide + 1", "found bool `true`", ""),
        ("${k + 1}", "AS0506", "k + 1", "found size `3x5`", ""),
        ("${patch/stride + 1}", "AS0506", "patch/stride + 1", "found patch `7x7/2`", ""),
        ("${in + 1}", "AS0506", "in + 1", "found features `64x28x14`", ""),
        ("${1 if n else 2}", "AS0506", "n", "expected true or false, found int `4`", ""),
        ("${wide and n}", "AS0506", "n", "expected true or false, found int `4`", ""),
        ("${not s}", "AS0506", "not s", "expected true or false, found string `abc`", ""),
        ("${(-8) ** 0.5}", "AS0506", "(-8) ** 0.5", "no real value", ""),
        ("$n.kernel", "AS0506", "n.kernel", "int `4` has no `kernel`", ""),
        ("$in.chanels", "AS0506", "in.chanels", "have no `chanels`", "did you mean `channels`?"),
        ("$patch/stride.strid", "AS0506", "patch/stride.strid", "patch `7x7/2` has no `strid`", "did you mean `stride`?"),
        ("${'a' < 1}", "AS0506", "'a' < 1", "`<` works on numbers", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_at_its_part(
    text: str, code: str, mark: str, message: str, help: str
) -> None:
    found = refused(text)
    assert found[:2] == (code, mark), found
    assert message in found[2]
    assert help in found[3]


def test_a_name_that_is_gone_when_it_is_evaluated() -> None:
    expr = parse_expression("$in.height", {"in"})
    assert not isinstance(expr, str)
    with pytest.raises(ExprError, match="undefined argument `in`"):
        evaluate(expr, {})


# Bounds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${" + "(" * 900 + "1" + ")" * 900 + "}", "nested more than 30 deep"),
        ("${" + "-" * 1900 + "1}", "nested more than 30 deep"),
        ("${" + "not " * 400 + "wide}", "nested more than 30 deep"),
        ("${" + "2**" * 600 + "1}", "nested more than 30 deep"),
        ("${" + "1 if wide else " * 120 + "1}", "nested more than 30 deep"),
        ("${" + "min(" * 390 + "1" + ")" * 390 + "}", "nested more than 30 deep"),
        ("${" + "1+" * 900 + "1}", "more than 100 operators"),
        ("${in" + ".height" * 200 + "}", "more than 100 operators"),
        ("${" + "wide and " * 200 + "wide}", "more than 100 operators"),
        ("$n" * 1001, "at most 2000 characters"),
        ("${" + "1" * 2000 + "}", "at most 2000 characters"),
    ],
)
def test_size_has_bounds(text: str, message: str) -> None:
    code, _, found, _ = refused(text)
    assert code == "AS0501"
    assert message in found


def test_bounds_leave_room() -> None:
    assert value("${" + "1+" * 100 + "1}") == 101
    assert value("${" + "(" * 30 + "1" + ")" * 30 + "}") == 1


def test_texts_do_not_grow_without_end() -> None:
    env = {"t": "x" * 600}
    for text in ("$t$t", "${t + t}"):
        expr = parse_expression(text, frozenset(env))
        assert not isinstance(expr, str)
        with pytest.raises(ExprError, match="more than 1,000 characters") as caught:
            evaluate(expr, env)
        assert caught.value.code == "AS0505"


@given(st.text("${}()'\"+-*/%<>=!.,abin0189 \n#", max_size=40))
def test_any_text_is_a_value_or_an_error_of_ours(text: str) -> None:
    try:
        found = value(text)
    except ExprError as error:
        assert 0 <= error.start <= error.end <= len(text)
        assert error.code.startswith(("AS04", "AS05"))
    else:
        assert "$" in text or found == text
