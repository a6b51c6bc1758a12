"""Arguments of blocks and of the network: names, types, defaults."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.frontend.arguments import TYPES, coerce, infer_type
from archspec.ir.expr import ExprError
from archspec.ir.types import LIMIT, Patch
from tests.helpers.language import found, good, layers, marked, net, outline, the

# Types


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int", 3, 3), ("int", -3, -3), ("int", 0, 0), ("float", 3, 3), ("float", 0.5, 0.5), ("bool", True, True), ("str", "3x3", "3x3"),
        ("size", 3, (3,)), ("size", "3x5", (3, 5)), ("size", [3, 5], (3, 5)), ("size", "3", (3,)), ("size", (2, 2), (2, 2)),
        ("shape", [64, 7, 7], (64, 7, 7)), ("shape", "64x7x7", (64, 7, 7)), ("shape", 10, (10,)),
        ("patch", "7x7/2", Patch((7, 7), (2,))), ("patch", "3x3", Patch((3, 3), (1,))), ("patch", "3x5/2x1", Patch((3, 5), (2, 1))),
        ("patch", 3, Patch((3,), (1,))), ("patch", [3, 5], Patch((3, 5), (1,))), ("patch", "7x7 / 2", Patch((7, 7), (2,))),
        ("patch", Patch((3,), (2,)), Patch((3,), (2,))),
    ],
)  # fmt: skip
def test_a_type_takes_its_values(kind: str, value: Any, expected: Any) -> None:
    result = coerce(kind, value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("int", 2.5, "AS0504"), ("int", 2.0, "AS0504"), ("int", True, "AS0204"), ("int", "3", "AS0204"), ("int", None, "AS0204"),
        ("int", [3], "AS0204"), ("int", {}, "AS0204"), ("float", "x", "AS0204"), ("float", True, "AS0204"),
        ("float", float("nan"), "AS0205"), ("float", float("inf"), "AS0205"), ("float", float("-inf"), "AS0205"),
        ("bool", 1, "AS0204"), ("bool", "yes", "AS0204"), ("str", 3, "AS0204"), ("str", True, "AS0204"), ("str", None, "AS0204"),
        ("size", 0, "AS0204"), ("size", "3x0", "AS0204"), ("size", -1, "AS0204"), ("size", 3.0, "AS0204"), ("size", "3,5", "AS0204"),
        ("size", [], "AS0204"), ("size", [3, "x"], "AS0204"), ("size", True, "AS0204"), ("size", [True], "AS0204"),
        ("patch", "7x7/0", "AS0204"), ("patch", "0/2", "AS0204"), ("patch", "/2", "AS0204"), ("patch", "3/", "AS0204"), ("patch", "3/2/1", "AS0204"),
        ("patch", True, "AS0204"), ("shape", "a", "AS0204"), ("int", LIMIT + 1, "AS0505"), ("int", -LIMIT - 1, "AS0505"), ("size", LIMIT + 1, "AS0505"),
    ],
)  # fmt: skip
def test_a_type_refuses_what_is_none(kind: str, value: Any, code: str) -> None:
    with pytest.raises(ExprError) as caught:
        coerce(kind, value)
    assert caught.value.code == code
    assert caught.value.message


@given(
    st.sampled_from(sorted(TYPES)),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.lists(st.integers() | st.text()),
    ),
)
def test_any_value_is_taken_or_refused(kind: str, value: Any) -> None:
    try:
        result = coerce(kind, value)
    except ExprError as error:
        assert error.code in ("AS0204", "AS0205", "AS0504", "AS0505")
    else:
        assert result is not None


def test_the_type_of_a_default() -> None:
    assert [infer_type(value) for value in (True, 1, 1.0, "1")] == ["bool", "int", "float", "str"]


# Declarations

BODY = "body: [{conv: {out: $out, kernel: 1}}]"


def test_a_list_of_names_declares_ints() -> None:
    listed = net("- u: {out: 4}", blocks=f"u: {{args: [out], {BODY}}}")
    mapped = net("- u: {out: 4}", blocks=f"u: {{args: {{out: int}}, {BODY}}}")
    assert outline(good(listed)) == outline(good(mapped))
    assert "expected an int" in the(listed.replace("out: 4", "out: wide"), "AS0204", "wide").message


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("int = 6", 6), ("int=6", 6), ("int  =  6", 6), ("int = $n", 5), ('"int = ${n * 2}"', 10), ("int = 0x10", 16),
        ('"int = ${other + n}"', 8),
    ],
)  # fmt: skip
def test_a_default_stands_in_for_a_value_that_is_not_given(declared: str, expected: int) -> None:
    blocks = f"u: {{args: {{other: int, out: {declared}}}, body: [{{conv: {{out: $out, kernel: $other, stride: $n}}}}]}}"
    text = net("- u: {other: 3}", args="{n: 5}", blocks=blocks)
    assert good(text).graph.nodes[1].shape[0] == expected
    assert good(text.replace("other: 3", "other: 3, out: 2")).graph.nodes[1].shape[0] == 2


@pytest.mark.parametrize(
    ("declared", "step", "same"),
    [
        ("float = 0.25", "dropout: {rate: $x}", "dropout: {rate: 0.25}"),
        ("float = 1e-3", "layer_norm: {eps: $x}", "layer_norm: {eps: 0.001}"),
        (
            "bool = false",
            "conv: {out: 4, kernel: 1, bias: $x}",
            "conv: {out: 4, kernel: 1, bias: false}",
        ),
        (
            "str = same",
            "conv: {out: 4, kernel: 3, padding: $x}",
            "conv: {out: 4, kernel: 3, padding: same}",
        ),
        ("size = 3", "conv: {out: 4, kernel: $x}", "conv: {out: 4, kernel: 3}"),
        ("size = 1x3", "conv: {out: 4, kernel: $x}", "conv: {out: 4, kernel: [1, 3]}"),
        ('"size = [1, 3]"', "conv: {out: 4, kernel: $x}", "conv: {out: 4, kernel: 1x3}"),
        ("shape = 64x3", "reshape: {to: $x}", "reshape: {to: [64, 3]}"),
        ('"shape = [3, 64]"', "reshape: {to: $x}", "reshape: {to: [3, 64]}"),
        (
            "patch = 3x1/2",
            "conv: {out: 4, kernel: $x.kernel, stride: $x.stride}",
            "conv: {out: 4, kernel: [3, 1], stride: 2}",
        ),
    ],
)
def test_a_default_of_every_type(declared: str, step: str, same: str) -> None:
    block = net("- u", blocks=f"u: {{args: {{x: {declared}}}, body: [{{{step}}}]}}")
    assert layers(good(block)) == layers(good(net(f"- {{{same}}}")))


@pytest.mark.parametrize(
    ("args", "code", "mark", "message"),
    [
        ("{x: integer}", "AS0203", "integer", "unknown type `integer`"),
        ("{x: itn = 3}", "AS0203", "itn", "unknown type `itn`"),
        ("{x: 3}", "AS0204", "3", "the argument `x` is declared by its type, found int `3`"),
        ("{x: ~}", "AS0204", "~", "found nothing"),
        ("{x: [int]}", "AS0204", "[int]", "found a list"),
        ("{x: int = wide}", "AS0204", "wide", "the default of `x`: expected an int, found string `wide`"),
        ("{x: int =}", "AS0204", "int =", "the default of `x`: expected an int, found nothing"),
        ("{x: int = 2.5}", "AS0504", "2.5", "the default of `x`: expected an int, found float `2.5`"),
        ("{x: size = 3x}", "AS0204", "3x", "expected a size such as 3 or 3x5"),
        ("{x: bool = no}", "AS0204", "no", "expected true or false, found string `no`"),
        ("{x: int = $m}", "AS0401", "m", "undefined argument `m`"),
        ("{x: int = $y, y: int = 3}", "AS0401", "y", "undefined argument `y`"),
        ('{x: "int = ${1 +}"}', "AS0501", "}", "expected a value"),
        ("{x: int = $in.channels}", "AS0401", "in", "undefined argument `in`"),
        ("{in: int}", "AS0210", "in", "`in` cannot be an argument's name"),
        ('{"a$b": int}', "AS0210", '"a$b"', "cannot be an argument's name"),
        ('{"": int}', "AS0210", '""', "cannot be an argument's name"),
        ("[x, x]", "AS0403", "x", "the argument `x` is declared twice"),
        ("[[x]]", "AS0204", "[x]", "an argument is a name, found a list"),
        ("[~]", "AS0204", "~", "an argument is a name, found nothing"),
        ("x", "AS0204", "x", "`args` is a list of names or a mapping, found string `x`"),
    ],
)  # fmt: skip
def test_a_declaration_that_is_none(args: str, code: str, mark: str, message: str) -> None:
    assert message in the(net(blocks=f"u: {{args: {args}, body: [relu]}}"), code, mark).message


def test_a_declared_twice_shows_the_first() -> None:
    (note,) = the(net(blocks="u: {args: [x, y, x], body: [relu]}"), "AS0403").notes
    assert note.span is not None
    assert (note.text, marked(note.span)) == ("first declared", "x")


@pytest.mark.parametrize(
    ("blocks", "code", "mark", "message"),
    [
        ("[relu]", "AS0204", "[relu]", "`blocks` maps names to blocks, found a list"),
        (
            "relu: {body: [tanh]}",
            "AS0403",
            "relu",
            "`relu` is an op: a block needs a name of its own",
        ),
        ("repeat: {body: [tanh]}", "AS0403", "repeat", "a block needs a name of its own"),
        ("output: {body: [tanh]}", "AS0403", "output", "`output` is a key of steps"),
        ("'': {body: [tanh]}", "AS0210", "''", "a block needs a name"),
        (
            "u: [tanh]",
            "AS0204",
            "[tanh]",
            "a block is a mapping with `args` and `body`, found a list",
        ),
        ("u: {args: []}", "AS0201", "u", "the block `u` has no `body`"),
        ("u: {body: [tanh], arg: [x]}", "AS0202", "arg", "unknown key `arg` in a block"),
        ("u: {body: [tanh], doc: [x]}", "AS0204", "[x]", "`doc` is a text, found a list"),
    ],
)
def test_a_block_that_is_none(blocks: str, code: str, mark: str, message: str) -> None:
    assert message in the(net(blocks=blocks), code, mark).message


def test_using_a_block_that_could_not_be_read_says_nothing_more() -> None:
    assert found(net("- u: {x: 3}\n- {name: a, u: }\n- {relu: , from: a}", blocks="u: [tanh]")) == [
        ("AS0204", "[tanh]")
    ]


# Values given to blocks


def test_an_error_in_an_argument_is_not_repeated_at_a_default_that_reads_it() -> None:
    blocks = (
        """u: {args: {out: int, mid: "int = ${out + 1}"}, body: [{conv: {out: $mid, kernel: 1}}]}"""
    )
    assert found(net("- {name: first, u: {out: wide}}", blocks=blocks)) == [("AS0204", "wide")]


def test_an_argument_without_a_value() -> None:
    blocks = f"u: {{args: {{out: int, extra: int = 1}}, {BODY}}}"
    diagnostic = the(net("- {name: first, u: }", blocks=blocks), "AS0207", "u")
    assert diagnostic.message == "`first` gives no `out`, which `u` needs"
    (note,) = diagnostic.notes
    assert note.span is not None
    assert (note.text, marked(note.span)) == ("out is declared", "out")
    row = net("table: {columns: [name, type, out], rows: [[first, u, ~]]}", blocks=blocks)
    the(row, "AS0207", "[first, u, ~]")


@pytest.mark.parametrize(
    ("given", "code", "mark", "message"),
    [
        ("{out: wide}", "AS0204", "wide", "`out`: expected an int, found string `wide`"),
        ('{out: "8"}', "AS0204", '"8"', "`out`: expected an int, found string `8`"),
        ("{out: ~}", "AS0204", "~", "`out`: expected an int, found nothing"),
        ("{out: 2.5}", "AS0504", "2.5", "`out`: expected an int, found float `2.5`"),
        ('{out: "${9 / 2}"}', "AS0504", '"${9 / 2}"', "found float `4.5`"),
        ("{out: $wide}", "AS0204", "$wide", "found bool `true`"),
        ("{out: [8]}", "AS0204", "[8]", "found list"),
        ("{out: {a: 1}}", "AS0204", "{a: 1}", "found mapping"),
        ("{out: 0}", "AS0205", "0", "`out` takes an integer of at least 1, found int `0`"),
        ("{out: 5000000000000000000}", "AS0505", "5000000000000000000", "too large"),
        ("{ot: 3, out: 3}", "AS0202", "ot", "`u` has no argument `ot`"),
    ],
)
def test_a_value_that_does_not_fit_is_shown_where_it_was_given(
    given: str, code: str, mark: str, message: str
) -> None:
    text = net(
        f"- u: {given}", args="{wide: true, n: 1}", blocks=f"u: {{args: {{out: int}}, {BODY}}}"
    )
    text = text.replace("[{conv", "[{relu: , when: $wide}, {repeat: {times: $n, body: []}}, {conv")
    assert message in the(text, code, mark).message


def test_a_dollar_name_with_an_operator_outside_braces_has_a_help() -> None:
    blocks = f"u: {{args: {{out: int}}, {BODY}}}"
    assert (
        '"${...}"'
        in the(net("- u: {out: $n * 2}", args="{n: 4}", blocks=blocks), "AS0204", "$n * 2").help
    )
    assert (
        '"${...}"'
        in the(net("- conv: {out: $n*2, kernel: 1}", args="{n: 4}"), "AS0204", "$n*2").help
    )


def test_a_value_is_blamed_where_it_was_first_written() -> None:
    blocks = """
    outer: {args: {width: int, drop: float = 1.5}, body: [{inner: {out: $width, rate: $drop}}]}
    inner: {args: {out: int, rate: float}, body: [{conv: {out: $out, kernel: 1}}, {dropout: {rate: $rate}}]}
    """
    table = "table: {columns: [name, type, width], rows: [[a, outer, 4], [b, outer, 0]]}"
    assert found(net(table, blocks=blocks)) == [("AS0205", "1.5"), ("AS0205", "0")]


# The network's arguments


@pytest.mark.parametrize(
    ("args", "code", "mark", "message"),
    [
        ("[n]", "AS0204", "[n]", "`args` maps names to their values, found a list"),
        ("{n: ~}", "AS0204", "~", "`n` is a number, a text or a bool, found nothing"),
        ("{n: [1]}", "AS0204", "[1]", "found a list"),
        ("{in: 3}", "AS0210", "in", "cannot be an argument's name"),
        ("{n: .nan}", "AS0205", ".nan", "`n`: expected a finite number"),
        ("{n: -.inf}", "AS0205", "-.inf", "`n`: expected a finite number"),
        ("{n: 5000000000000000000}", "AS0505", "5000000000000000000", "too large"),
        ("{" + "n" * 101 + ": 1}", "AS0210", "n" * 101, "cannot be an argument's name"),
    ],
)
def test_a_network_argument_that_is_none(args: str, code: str, mark: str, message: str) -> None:
    assert message in the(net(args=args), code, mark).message


def test_there_are_so_many_arguments_and_no_more() -> None:
    many = "{" + ", ".join(f"a{i}: 1" for i in range(257)) + "}"
    assert "256" in the(net(args=many), "AS0106", "a256").message
    the(
        net(blocks=f"u: {{args: {many.replace('1,', 'int,').replace('1}', 'int}')}, body: []}}"),
        "AS0106",
        "a256",
    )


@pytest.mark.parametrize(
    ("value", "found_type"),
    [
        (2, "int"),
        (True, "bool"),
        ("abc", "string"),
        (None, "nothing"),
        ([1], "list"),
        ({"a": 1}, "mapping"),
    ],
)
def test_python_gives_arguments_values(value: Any, found_type: str) -> None:
    text = net("- conv: {out: $n, kernel: 1}", args="{n: 4}")
    if found_type == "int":
        assert good(text, n=value).graph.nodes[1].shape == (2, 8, 8)
    else:
        assert f"`n`: expected an int, found {found_type}" in the(text, "AS0204", n=value).message


def test_python_gives_numbers_of_numpy_and_of_any_size() -> None:
    import numpy as np

    text = net("- conv: {out: $n, kernel: 1}", args="{n: 4}")
    assert good(text, n=np.int64(6)).graph.nodes[1].shape == (6, 8, 8)
    the(text, "AS0505", n=10**5000)
    the(text, "AS0504", n=2.0)
    the(text, "AS0204", n=object())


def test_python_gives_arguments_and_nothing_else() -> None:
    text = net("- relu", args="{n: 4}") + "name: x\n"
    assert the(text, "AS0411", "m", m=3).help == "known arguments: `n`"
    the(text, "AS0411", "name", name="y")


def test_arguments_by_the_papers_names() -> None:
    text = net("- conv: {out: '${#1x1 reduce}', kernel: 1}", args="{'#1x1 reduce': 4}")
    assert good(text, **{"#1x1 reduce": 7}).graph.nodes[1].shape[0] == 7


@pytest.mark.parametrize(
    "used",
    ["c: 'int = ${a * 2}'", "c: 'bool = ${a == 2}'", "c: 'str = $a', d: 'str = ${c}'"],
)
def test_what_depends_on_a_value_that_is_refused_is_not_told_again(used: str) -> None:
    blocks = f"b: {{args: {{a: int, {used}}}, body: [{{name: 'n$c', when: '${{a > 1}}', relu: }}]}}"
    assert found(net("- b: {a: true}", blocks=blocks)) == [("AS0204", "true")]
