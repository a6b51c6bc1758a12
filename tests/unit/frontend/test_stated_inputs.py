"""Another input than a file states: its outputs are not compared, and its global pools are seen to."""

from __future__ import annotations

from typing import Any

import pytest

from archspec.cli import main
from archspec.diagnostics import Diagnostic
from tests.helpers.language import found, marked, net, read

BASE = net(
    """
    - {name: stem, conv: {out: 8, kernel: 3, stride: 2, padding: 1}, output: 16x16x8}
    - {name: body, unit: {out: 4}, output: 16x16x4}
    - {name: last, avg_pool: {kernel: 16}, output: 1x1x4}
    - flatten
    - linear: {out: 2}
    """,
    input="[3, 32, 32]",
    blocks="unit: {args: {out: int}, body: [{name: c, conv: {out: $out, kernel: 1}}]}",
)


def codes(text: str = BASE, **options: Any) -> list[str]:
    return [diagnostic.code for diagnostic in read(text, **options)[1]]


def note(diagnostics: tuple[Diagnostic, ...]) -> Diagnostic:
    (diagnostic,) = (d for d in diagnostics if d.code == "AS0671")
    assert diagnostic.severity == "note"
    return diagnostic


def variant(text: str, **options: Any) -> list[str]:
    text = f"archspec: 1\nextends: base.yaml\n{text}\n"
    return codes(text, files={"base.yaml": BASE}, **options)


def test_outputs_are_compared_at_the_input_that_their_file_states() -> None:
    assert codes() == []
    assert codes(sets=["input=[3, 32, 32]"]) == []
    assert codes(BASE.replace("1x1x4", "1x1x5")) == ["AS0303"]


def test_at_another_input_one_note_says_which_outputs_are_not_compared() -> None:
    spec, diagnostics = read(BASE, sets=["input=[3, 48, 40]"])
    assert spec is not None
    assert spec.graph.nodes[1].shape == (8, 24, 20)
    text = note(diagnostics).message
    assert "`stem`, `body`, `last` in" in text
    assert "are for an input of 3x32x32, and are not checked at 3x48x40" in text
    assert "`--check-outputs`" in note(diagnostics).help


def test_a_variant_states_outputs_for_its_own_input() -> None:
    assert variant("input: [3, 16, 16]\nedit: [{set: {last.kernel: 8}}]") == ["AS0671"]
    right, wrong = (
        f"input: [3, 16, 16]\nedit: [{{set: {{last.kernel: 8, stem.output: {size}x8x8}}}}]"
        for size in (8, 9)
    )
    assert variant(right) == ["AS0671"]
    assert sorted(variant(wrong)) == ["AS0303", "AS0671"]
    assert variant("name: Same") == []


def test_an_override_states_outputs_for_the_input_as_it_is() -> None:
    sets = ["input=[3, 16, 16]", "last.kernel=8"]
    assert codes(sets=[*sets, "stem.output=8x8x8"]) == ["AS0671"]
    assert codes(sets=[*sets, "stem.output=16x16x8"]) == ["AS0303", "AS0671"]


def test_an_argument_that_the_input_reads_changes_it_too() -> None:
    text = BASE.replace("[3, 32, 32]", "[3, $size, $size]\nargs: {size: 32}")
    assert codes(text) == []
    assert codes(text, sets=["size=16", "last.kernel=8"]) == ["AS0671"]
    follows = text.replace("output: 16x16x8", 'output: "[8, 16, ${size // 2}]"').replace(
        'output: "[8, 16, ${size // 2}]"', "output: [8, '${size // 2}', '${size // 2}']"
    )
    _, diagnostics = read(follows, sets=["size=16", "last.kernel=8"])
    assert "`stem`" not in note(diagnostics).message


def test_all_that_differ_are_reported_on_request() -> None:
    _, diagnostics = read(BASE, sets=["input=[3, 64, 64]"], check_outputs=True)
    wrong = [d for d in diagnostics if d.code == "AS0303"]
    assert [marked(d.span) for d in wrong] == ["16x16x8", "16x16x4", "1x1x4"]
    assert wrong[1].help == "it is stated for an input of 3x32x32"


def test_an_output_for_another_input_stands_in_for_nothing() -> None:
    text = BASE.replace("kernel: 1}", "kernel: 1, groups: 3}").replace("out: 2", "out: 2, bias: 3")
    assert found(text, sets=["input=[3, 64, 64]"])[0][0] == "AS0305"


@pytest.mark.parametrize(
    ("size", "left"), [("[3, 48, 48]", "24x24"), ("[3, 32, 64]", "16x32"), ("[3, 72, 32]", "36x16")]
)
def test_a_global_pool_that_no_longer_covers_its_map(size: str, left: str) -> None:
    _, diagnostics = read(BASE, sets=[f"input={size}"])
    (warning,) = (d for d in diagnostics if d.code == "AS0672")
    assert marked(warning.span) == "16"
    assert warning.message == (
        f"the window of 16x16 of `last` covered its map of 16x16, and does not cover {left}"
    )
    assert warning.help == "use `global_avg_pool`, which fits any input"


def test_pools_that_were_not_global_or_fit_are_left_alone() -> None:
    assert "AS0672" not in codes(
        BASE.replace("kernel: 16}", "kernel: 8}"), sets=["input=[3, 80, 80]"]
    )
    assert "AS0672" not in codes(sets=["input=[3, 80, 80]", "last.kernel=40"])
    adapts = BASE.replace("kernel: 16}", "kernel: $in.height}")
    assert "AS0672" not in codes(adapts, sets=["input=[3, 80, 80]"])


def test_the_command_prints_the_note_on_one_line(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    arguments = ["check", str(path), "--set", "input=[3, 16, 16]", "--set", "last.kernel=8"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert out == f"{path}: fine\n"
    assert err.startswith("note[AS0671]: the outputs of `stem`, `body`, `last` in ")
    assert err.count("\n") == 1
    assert main([*arguments, "--check-outputs"]) == 1
    assert capsys.readouterr().err.endswith("2 errors\n")
    assert main([*arguments, "--format", "github"]) == 0
    assert capsys.readouterr().out.startswith("::notice file=")


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ("[1, 3, 224, 224]", "[3, 224, 224]"),
        ("[32, 3, 32, 32]", "[3, 32, 32]"),
        ("[8, 1, 28, 28]", "[1, 28, 28]"),
        ("[224, 224, 3]", "[3, 224, 224]"),
        ("[28, 32, 1]", "[1, 28, 32]"),
    ],
)
def test_an_input_that_reads_like_a_batch_or_channels_last(shape: str, advice: str) -> None:
    _, diagnostics = read(net(input=shape))
    (warning,) = (d for d in diagnostics if d.code == "AS0676")
    assert (warning.severity, marked(warning.span)) == ("warning", shape)
    assert warning.help.endswith(advice)


@pytest.mark.parametrize(
    "shape",
    ["[3, 224, 224]", "[3, 16, 112, 112]", "[1, 32, 32, 32]", "[3, 1000]", "[10]", "[64, 4, 3]"],
)
def test_other_inputs_are_as_they_are(shape: str) -> None:
    assert codes(net(input=shape)) == []


@pytest.mark.parametrize("batch", ["-1", "~"])
def test_a_batch_of_any_size_is_left_out(batch: str) -> None:
    _, diagnostics = read(net(input=f"[{batch}, 3, 32, 32]"))
    assert [d.code for d in diagnostics] == ["AS0205"]
    assert diagnostics[0].help.startswith("leave it out")
