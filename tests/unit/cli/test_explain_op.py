"""`archspec explain-op`: what a layer becomes, shown as it is built."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.backend import Gap, find, registry
from archspec.cli import main
from archspec.compiler import load
from archspec.ops import OPS
from tests.helpers.effort import examples

Captured = pytest.CaptureFixture[str]

TEXT = """\
archspec: 1
name: Net
input: [3, 8, 8]
blocks:
  unit: {args: {out: int}, body: [{conv: {out: $out, kernel: 3, padding: 1}}]}
network:
  - {name: one, unit: {out: 3}}
  - {name: two, unit: {out: 3}}
  - {name: out, unit: {out: 5}}
  - flatten
  - {name: fc, linear: {out: 2}}
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("net.yaml")
    path.write_text(TEXT)
    return path


def explained(capsys: Captured, *arguments: str) -> list[dict[str, Any]]:
    assert main(["explain-op", *arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_layers_of_a_line_are_grouped_where_they_are_alike(net: Path, capsys: Captured) -> None:
    alike, wider = explained(capsys, f"{net}:5")
    assert (alike["paths"], wider["paths"]) == (["one.conv", "two.conv"], ["out.conv"])
    assert alike["locations"] == [f"net.yaml:5:{TEXT.splitlines()[4].index('conv') + 1}"]
    assert (alike["inputs"], alike["output"], wider["output"]) == (
        [[3, 8, 8]],
        [3, 8, 8],
        [5, 8, 8],
    )
    assert alike["fields"]["padding"] == 1
    assert alike["fields"]["bias"] is True
    assert alike["macs"] == 3 * 3 * 9 * 64
    assert alike["tensors"] == {"one.conv.weight": [3, 3, 3, 3], "one.conv.bias": [3]}


def test_each_backend_says_what_it_builds_and_how_it_lays_tensors_out(
    net: Path, capsys: Captured
) -> None:
    (entry,) = explained(capsys, f"{net}:fc")
    graph = load(net).graph
    assert {"torch", "keras", "onnx"} <= entry["backends"].keys()
    for name, found in entry["backends"].items():
        natives = find(name).tensor_layout(graph)
        assert found["lowering"] == find(name).explain(graph, graph.nodes[-1])
        for tensor, native in found["tensors"].items():
            assert native["name"] == natives[tensor].name
            assert [entry["tensors"][tensor][axis] for axis in native["axes"]] == (
                native["shape"] if native["axes"] else []
            )
    assert (
        entry["backends"]["torch"]["lowering"]
        == "model.fc = nn.Linear(in_features=320, out_features=2)"
    )
    assert entry["backends"]["keras"]["tensors"]["fc.weight"]["shape"] == [320, 2]


def test_for_people(net: Path, capsys: Captured) -> None:
    assert main(["explain-op", f"{net}:11:19", "--backend", "keras", "--set", "fc.out=4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "linear: fc"
    assert lines[1].split() == ["written", "at", "net.yaml:11:16"]
    assert lines[2].split() == ["fields", "out", "4,", "bias", "true"]
    assert "  tensor      fc.weight 4x320" in lines
    assert [line.strip() for line in lines if line.startswith("  on ")] == ["on keras"]
    assert "    fc.weight is fc/kernel 320x4, its axes 1, 0 of ours" in lines


def test_a_long_list_of_layers_is_cut(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("archspec: 1\ninput: [4]\nnetwork:\n  - repeat: {times: 20, body: [relu]}\n")
    assert main(["explain-op", f"{path}:4", "--backend", "torch"]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(" and 12 more")


@pytest.mark.parametrize("kind", OPS)
def test_every_op_can_be_asked_for_by_its_name(kind: str, capsys: Captured) -> None:
    (entry,) = explained(capsys, kind)
    assert (entry["op"], entry["locations"]) == (kind, [])
    assert all(found["lowering"] for found in entry["backends"].values())


def test_a_name_with_a_colon_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a:b.yaml").write_text(TEXT.replace("name: fc", 'name: "fc:1"'))
    assert [entry["paths"] for entry in explained(capsys, "a:b.yaml:fc:1")] == [["fc:1"]]


HOSTILE = TEXT.replace("name: fc", r'name: "f\e[31m\u202e\"; import os #"')


def test_no_name_steers_the_terminal(net: Path, capsys: Captured) -> None:
    net.write_text(HOSTILE)
    assert main(["explain-op", f"{net}:11", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "import os" in out
    assert [line for line in out.splitlines() if not line.isprintable()] == []


PARTS = st.sampled_from(
    ["net.yaml", "lenet5", "conv", "c1", "c1.conv", ":", "5", "0", ".", "/", "\0", "-", "\udc80"]
)


@examples(100)
@given(st.one_of(st.lists(PARTS, max_size=5).map("".join), st.text(max_size=8)))
def test_any_words_end_in_order(words: str) -> None:
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        code = main(["explain-op", "--backend", "torch", "--", words])
    assert code in (0, 1, 2), err.getvalue()
    assert (out if code == 0 else err).getvalue().strip()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["net.yaml:1"], 2, "no layer is written at net.yaml:1"),
        (["net.yaml:flaten"], 2, "did you mean `flatten`?"),
        (["net.yaml:"], 2, "names no layer"),
        (["net.yaml"], 2, "a line, as in net.yaml:12"),
        (["cov"], 2, "did you mean `conv`?"),
        (["nowhere.yaml:3"], 1, "cannot read `nowhere.yaml`"),
        (["net.yaml:fc", "--backend", "karas"], 2, "did you mean `keras`?"),
        (["net.yaml:fc", "--set", "fc.out=0"], 1, "AS0205"),
        (["net.yaml:99999999999999999999"], 2, "nothing called"),
    ],
)
def test_what_cannot_be_shown(
    net: Path, capsys: Captured, arguments: list[str], code: int, said: str
) -> None:
    assert main(["explain-op", *arguments]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_a_missing_framework_ends_with_3(
    net: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    backend = replace(find("torch"), framework="no_such_framework")
    monkeypatch.setattr(registry, "find", lambda name: backend)
    assert main(["explain-op", "net.yaml:fc", "--backend", "torch"]) == 3
    assert "pip install 'archspec-nn[torch]'" in capsys.readouterr().err
    assert main(["explain-op", "net.yaml:fc"]) == 3
    assert "no backend's framework is installed" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["net.yaml:fc", "net.yaml:flatten"])
def test_a_gap_says_why(
    net: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, place: str
) -> None:
    """The layer's own, and one elsewhere in the network, which keeps all of it from being built."""
    whole = find("torch")
    gaps = {"linear": Gap("P001", "it cannot multiply")}
    monkeypatch.setattr(
        registry, "find", lambda name: replace(whole, lowered=set(OPS) - {"linear"}, gaps=gaps)
    )
    (entry,) = explained(capsys, place, "--backend", "torch")
    assert entry["backends"]["torch"] == {
        "gap": {"op": "linear", "code": "P001", "reason": "it cannot multiply"}
    }
    assert main(["explain-op", place, "--backend", "torch"]) == 0
    assert "cannot build linear: it cannot multiply (P001)" in capsys.readouterr().out
