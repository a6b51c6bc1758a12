"""Merges that do not fit: who is blamed, what is said to have changed it, and that each fix works."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.diagnostics import Diagnostic
from tests.helpers.language import found, good, marked, net, read


def only(text: str) -> Diagnostic:
    diagnostics = [d for d in read(text)[1] if d.severity == "error"]
    assert len(diagnostics) == 1, diagnostics
    return diagnostics[0]


def noted(diagnostic: Diagnostic) -> list[tuple[str, str]]:
    """Each note about a step, and the text that it points at."""
    return [(note.text, marked(note.span)) for note in diagnostic.notes if note.span]


UPSAMPLING = {
    "conv_transpose": "conv_transpose: {out: 4, kernel: 2, stride: 2}",
    "nearest": "resize: {scale: 2, mode: nearest, coordinates: half_pixel}",
    "linear": "resize: {scale: 2, mode: linear, coordinates: half_pixel}",
}


def skip(up: str, merge: str = "concat", down: str = "max_pool: {kernel: 2}") -> str:
    """Two levels down and up again, with a skip connection over the lower one."""
    return f"""
    - {{name: d1, conv: {{out: 4, kernel: 3, padding: 1}}}}
    - {{name: p1, max_pool: {{kernel: 2}}}}
    - {{name: d2, conv: {{out: 4, kernel: 3, padding: 1}}}}
    - {{name: p2, {down}}}
    - {{name: d3, conv: {{out: 4, kernel: 1}}}}
    - {{name: u2, {up}}}
    - {{name: j2, from: [d2, u2], {merge}: }}
    - {{name: d4, conv: {{out: 4, kernel: 1}}}}
    """


@pytest.mark.parametrize("merge", ["concat", "add", "multiply"])
@pytest.mark.parametrize("up", UPSAMPLING)
@pytest.mark.parametrize(
    ("input", "left", "near"),
    [
        ("[3, 150, 128]", "1 row of 75 left out", "3x152x128 or 3x148x128"),
        ("[3, 128, 150]", "1 column of 75 left out", "3x128x152 or 3x128x148"),
        ("[3, 150, 150]", "1 row of 75 and 1 column of 75 left out", "3x152x152 or 3x148x148"),
        ("[3, 151]", "1 position of 75 left out", "3x152 or 3x148"),
        ("[3, 12, 14, 16]", "1 row of 7 left out", "3x12x16x16 or 3x12x12x16"),
    ],
)
def test_the_pool_that_left_a_row_out_is_named(
    merge: str, up: str, input: str, left: str, near: str
) -> None:
    diagnostic = only(net(skip(UPSAMPLING[up], merge), input=input))
    assert marked(diagnostic.span) == "u2"
    ((text, at),) = noted(diagnostic)
    assert text.startswith("p2 became ")
    assert text.endswith(f" by its stride of 2, {left}")
    assert at == "2"
    assert diagnostic.help.endswith(f"or use an input of {near}")


def test_every_fix_of_an_upsampling_works() -> None:
    text = net(skip(UPSAMPLING["conv_transpose"]), input="[3, 150, 128]")
    diagnostic = only(text)
    for fix in (
        "give `u2` `output_padding: [1, 0]`",
        "crop `d2` to 74x64",
        "state `rounding: ceil` at `p2` and crop `u2`",
        "an input of 3x152x128 or 3x148x128",
    ):
        assert fix in diagnostic.help
    good(text.replace("kernel: 2, stride: 2}", "kernel: 2, stride: 2, output_padding: [1, 0]}"))
    cropped = "- {name: s, from: d2, crop: {size: 74x64}}\n  - {name: j2, from: [s, u2]"
    good(text.replace("- {name: j2, from: [d2, u2]", cropped))
    ceil = text.replace("p2, max_pool: {kernel: 2}", "p2, max_pool: {kernel: 2, rounding: ceil}")
    up = "- {name: s, crop: {size: 75x64}}\n  - {name: j2, from: [d2, s]"
    good(ceil.replace("- {name: j2, from: [d2, u2]", up))
    for size in ("[3, 152, 128]", "[3, 148, 128]"):
        good(text.replace("[3, 150, 128]", size))


def test_a_resize_is_told_its_size() -> None:
    text = net(skip(UPSAMPLING["nearest"]), input="[3, 150, 128]")
    assert "give `u2` `size: 75x64` in place of its `scale`" in only(text).help
    good(text.replace("resize: {scale: 2", "resize: {size: 75x64"))


def test_a_window_that_rounds_up_makes_the_other_smaller() -> None:
    down = "conv: {out: 4, kernel: 3, stride: 2, padding: 1}"
    text = net(skip(UPSAMPLING["conv_transpose"], down=down), input="[3, 150, 128]")
    diagnostic = only(text)
    assert noted(diagnostic)[0][0] == "p2 became 38x32 by its stride, 75 / 2 rounded up"
    assert "output_padding" not in diagnostic.help
    assert "crop `u2` to 75x64" in diagnostic.help
    up = "- {name: s, crop: {size: 75x64}}\n  - {name: j2, from: [d2, s]"
    good(text.replace("- {name: j2, from: [d2, u2]", up))


def test_a_transposed_convolution_that_adds_rows() -> None:
    up = "conv_transpose: {out: 4, kernel: 3, stride: 2}"
    text = net(skip(up), input="[3, 64, 64]")
    diagnostic = only(text)
    assert noted(diagnostic)[0][0] == "u2 became 33x33 by its stride, 1 row and 1 column added"
    assert "give `u2` `padding: same`" in diagnostic.help
    good(text.replace("kernel: 3, stride: 2}", "kernel: 3, stride: 2, padding: same}"))


@given(
    st.integers(8, 60), st.integers(8, 60), st.sampled_from(sorted(UPSAMPLING)), st.integers(2, 4)
)
def test_the_inputs_that_are_named_are_legal(height: int, width: int, up: str, k: int) -> None:
    """And where there is no error, both sizes are multiples of what the pools divide by."""
    scaled = UPSAMPLING[up].replace("2", str(k)).replace("out: 4", "out: 4")
    text = net(skip(scaled, down=f"max_pool: {{kernel: {k}}}"), input=f"[3, {height}, {width}]")
    diagnostics = [d for d in read(text)[1] if d.severity == "error"]
    fits = all(n // 2 % k == 0 and n // 2 >= k for n in (height, width))
    assert bool(diagnostics) != fits
    for diagnostic in diagnostics:
        for size in re.findall(r"3x\d+x\d+", diagnostic.help.partition("an input of")[2]):
            good(text.replace(f"[3, {height}, {width}]", f"[{size.replace('x', ', ')}]"))


# Branches, which start from what enters the merge


def test_where_no_two_agree_what_enters_is_the_standard() -> None:
    steps = """
    - concat:
        first: [{conv: {out: 4, kernel: 9}}]
        second: [{conv: {out: 4, kernel: 6}}]
        right: [{conv: {out: 4, kernel: 1}}]
    """
    diagnostics = read(net(steps, input="[2, 100]"))[1]
    assert [marked(d.span) for d in diagnostics] == ["first", "second"]
    assert [noted(d) for d in diagnostics] == [
        [("first became 92 by its kernel, 8 positions lost", "9")],
        [("second became 95 by its kernel, 5 positions lost", "6")],
    ]
    assert [d.help for d in diagnostics] == [
        "give `first.conv` `padding: symmetric`, which keeps 100",
        "give `second.conv` `padding: same`, which keeps 100",
    ]
    mended = steps.replace("kernel: 9", "kernel: 9, padding: symmetric")
    good(net(mended.replace("kernel: 6", "kernel: 6, padding: same"), input="[2, 100]"))


def test_where_all_differ_from_what_enters_all_are_blamed() -> None:
    steps = "- concat: {a: [{conv: {out: 4, kernel: 3}}], b: [{conv: {out: 4, kernel: 5}}]}"
    diagnostics = read(net(steps, input="[2, 9, 9]"))[1]
    assert [marked(d.span) for d in diagnostics] == ["a", "b"]
    assert {d.notes[0].text for d in diagnostics} == {"what enters the merge is 9x9"}


@pytest.mark.parametrize("order", ["wrong, right", "right, wrong"])
def test_the_order_of_two_branches_does_not_matter(order: str) -> None:
    branches = {
        "wrong": "wrong: [{conv: {out: 4, kernel: 3, stride: 2, padding: 1}}]",
        "right": "right: [{conv: {out: 4, kernel: 1}}]",
    }
    steps = f"- concat: {{{', '.join(branches[name] for name in order.split(', '))}}}"
    diagnostic = only(net(steps, input="[2, 32, 32]"))
    assert marked(diagnostic.span) == "wrong"
    assert noted(diagnostic) == [("wrong became 16x16 by its stride", "2")]


def test_two_that_agree_are_the_standard_even_if_they_differ_from_what_enters() -> None:
    steps = "- concat: {a: [{max_pool: {kernel: 2}}], b: [], c: [{conv: {out: 4, kernel: 2, stride: 2}}]}"
    diagnostic = only(net(steps))
    assert marked(diagnostic.span) == "b"
    assert noted(diagnostic) == [("a became 4x4 by its stride of 2", "2")]


@pytest.mark.parametrize(
    ("branch", "note", "mark", "help"),
    [
        ("global_avg_pool", "became 1x1 by `global_avg_pool`", "global_avg_pool", "put `resize: {size: 8x8"),
        ("{max_pool: {kernel: 2}}", "became 4x4 by its stride of 2", "2", "state the `stride` of `x.max_pool`"),
        ("{max_pool: {kernel: 2, stride: 2}}", "became 4x4 by its stride", "2", "the stride and padding that keep 8x8"),
        ("{crop: {size: 5}}", "became 5x5 by its size", "5", "give `x.crop` `size: 8x8`"),
        ("{crop: {sides: 1}}", "became 6x6 by its sides, 2 rows and 2 columns lost", "1", "the padding or the crop that keep 8x8"),
        ("{pad: {padding: [[0, 1], [0, 0]]}}", "became 9x8 by its padding, 1 row added", "[[0, 1], [0, 0]]", "the padding or the crop that keep 8x8"),
        ("{resize: {size: 4, mode: nearest, coordinates: half_pixel}}", "became 4x4 by its size", "4", "give `x.resize` `size: 8x8`"),
        ("{adaptive_avg_pool: {size: 3}}", "became 3x3 by its size", "3", "give `x.adaptive_avg_pool` `size: 8x8`"),
        ("flatten", "became a vector by `flatten`", "flatten", "remove the `flatten` of `x`"),
        ("{reshape: {to: [12, 4, 4]}}", "became 4x4 by its to", "[12, 4, 4]", "remove `x.reshape`"),
        ("{conv: {out: 3, kernel: 3, dilation: 2}}", "became 4x4 by its kernel, 4 rows and 4 columns lost", "3", "`padding: symmetric`"),
        ("{conv_transpose: {out: 3, kernel: 2, stride: 2}}", "became 16x16 by its stride", "2", "the stride and padding that keep 8x8"),
    ],
)  # fmt: skip
def test_each_kind_of_step_says_what_it_did(branch: str, note: str, mark: str, help: str) -> None:
    diagnostic = only(net(f"- concat: {{a: [], x: [relu, {branch}], b: [tanh]}}"))
    assert marked(diagnostic.span) == "x"
    assert noted(diagnostic) == [(f"x {note}", mark)]
    assert help in diagnostic.help


@pytest.mark.parametrize("order", ["x: [], body: BODY", "body: BODY, x: []"])
def test_a_wrong_channel_count_has_a_note(order: str) -> None:
    body = "[{conv: {out: 16, kernel: 3, padding: 1}}, {conv: {out: 6, kernel: 1}}, relu]"
    text = net(f"- add: {{{order.replace('BODY', body)}}}", input="[8, 9, 9]")
    diagnostic = only(text)
    assert marked(diagnostic.span) == "body"
    assert noted(diagnostic) == [("body became 6 channels by its out", "6")]
    assert diagnostic.help == "give `body` 8 channels, or give `x` a `conv: {out: 6, kernel: 1}`"
    good(text.replace("out: 6", "out: 8"))
    good(text.replace("x: []", "x: [{conv: {out: 6, kernel: 1}}]"))


def test_a_shortcut_past_a_stride() -> None:
    body = "[{conv: {out: 16, kernel: 3, stride: 2, padding: 1}}]"
    text = net(f"- add: {{body: {body}, x: []}}")
    diagnostic = only(text)
    assert [text for text, _ in noted(diagnostic)] == [
        "body became 4x4 by its stride",
        "body became 16 channels by its out",
    ]
    assert diagnostic.help.endswith("give `x` a `conv: {out: 16, kernel: 1, stride: 2}`")
    good(text.replace("x: []", "x: [{conv: {out: 16, kernel: 1, stride: 2}}]"))


def test_channels_that_enter_are_no_standard_for_two_that_differ() -> None:
    steps = "- add: {x: [{conv: {out: 4, kernel: 1}}], y: [{conv: {out: 5, kernel: 1}}]}"
    assert found(net(steps)) == [("AS0302", "y")]


def test_groups_that_do_not_divide_say_where_the_channels_are_from() -> None:
    steps = (
        "- {name: a, conv: {out: 10, kernel: 1}}\n- relu\n- {conv: {out: 8, kernel: 1, groups: 4}}"
    )
    diagnostic = only(net(steps))
    assert (diagnostic.code, noted(diagnostic)) == (
        "AS0305",
        [("the value a became 10 channels by its out", "10")],
    )


def test_nothing_is_said_of_what_follows_a_merge_that_failed() -> None:
    text = net(
        skip(UPSAMPLING["nearest"]) + "\n    - {name: e, from: j2, crop: {size: 900}}",
        input="[3, 150, 128]",
    )
    assert [d.code for d in read(text)[1]] == ["AS0301"]


def test_a_window_larger_than_its_map_names_the_smallest_input() -> None:
    steps = """
    - {conv: {out: 4, kernel: 3, stride: 2}}
    - {max_pool: {kernel: 3, stride: 2}}
    - {avg_pool: {kernel: 7}}
    """
    text = net(steps, input="[3, 21, 21]")
    diagnostic = only(text)
    # 7 = (15 - 3) / 2 + 1 and 15 = (31 - 3) / 2 + 1
    assert diagnostic.help.endswith("or use an input of 3x31x31")
    good(text.replace("21, 21", "31, 31"))
    assert found(text.replace("21, 21", "30, 30"))[0][0] == "AS0304"


def test_branches_that_all_scale_are_held_to_what_they_scale_to() -> None:
    steps = """
    - concat:
        short: [{max_pool: {kernel: 4, stride: 2}}]
        whole: [{conv: {out: 4, kernel: 3, stride: 2, padding: 1}}]
    """
    diagnostic = only(net(steps, input="[2, 16, 16]"))
    assert marked(diagnostic.span) == "short"
    assert noted(diagnostic) == [("short became 7x7 by its stride, 1 row and 1 column lost", "2")]


def test_values_under_from_are_held_to_what_they_come_from() -> None:
    steps = """
    - {name: a, conv: {out: 4, kernel: 5}}
    - {name: b, from: input, conv: {out: 4, kernel: 5, padding: 2}}
    - {from: [a, b], concat: }
    """
    diagnostic = only(net(steps, input="[2, 16, 16]"))
    assert (marked(diagnostic.span), noted(diagnostic)) == (
        "a",
        [("a became 12x12 by its kernel, 4 rows and 4 columns lost", "5")],
    )


def test_values_that_share_no_size_are_held_to_the_first() -> None:
    steps = """
    - {name: a, max_pool: {kernel: 2}}
    - {name: b, from: input, max_pool: {kernel: 4}}
    - {from: [b, a], add: }
    """
    diagnostic = only(net(steps, input="[2, 16, 16]"))
    assert (marked(diagnostic.span), noted(diagnostic)) == (
        "b",
        [("b became 4x4 by its stride of 4", "4")],
    )


def test_a_gate_that_is_flattened_keeps_its_axes() -> None:
    gate = "[global_avg_pool, flatten, {linear: {out: 3}}, relu, {linear: {out: 8}}, sigmoid]"
    text = net(f"- multiply: {{x: [], gate: {gate}}}", input="[8, 9, 9]")
    diagnostic = only(text)
    assert (marked(diagnostic.span), noted(diagnostic)[0]) == (
        "gate",
        ("gate became a vector by `flatten`", "flatten"),
    )
    assert "use a `conv` of kernel 1 in place of `linear`" in diagnostic.help
    mended = text.replace(" flatten,", "").replace("linear: {", "conv: {kernel: 1, ")
    good(mended)


def test_merges_on_the_way_do_not_hide_the_pool() -> None:
    """Neither a concatenation, which changes channels, nor a gate, which is stretched."""
    deep = """
    - {name: d3, conv: {out: 4, kernel: 1}}
    - concat: {same: [], more: [{conv: {out: 4, kernel: 1}}]}
    - multiply: {gate: [global_avg_pool, {conv: {out: 8, kernel: 1}}], x: []}
    """
    steps = skip(UPSAMPLING["conv_transpose"]).replace(
        "    - {name: d3, conv: {out: 4, kernel: 1}}\n", f"    {deep.strip()}\n"
    )
    text = net(steps, input="[3, 150, 128]")
    diagnostic = only(text)
    assert [note for note, _ in noted(diagnostic)] == [
        "p2 became 37x32 by its stride of 2, 1 row of 75 left out"
    ]
    assert "give `u2` `output_padding: [1, 0]`" in diagnostic.help
