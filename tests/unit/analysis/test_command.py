"""`archspec stats`, as a whole: what it prints in each format, and that the formats agree."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import archspec
from archspec.cli import main

Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str, code: int = 0) -> str:
        assert main(["stats", *arguments]) == code
        return capsys.readouterr().out

    return call


def test_json_has_the_keys_that_scripts_rely_on(run: Run) -> None:
    found = json.loads(run("googlenet", "--format", "json"))
    assert {
        key: found[key]
        for key in ("name", "input", "params", "params_with_aux", "macs", "macs_with_aux")
    } == {
        "name": "GoogLeNet",
        "input": [3, 224, 224],
        "params": 6998552,
        "params_with_aux": 13378280,
        "macs": 1582671872,
        "macs_with_aux": 1591044096,
    }
    assert (found["flops"], found["depth"], found["depth_with_pools"]) == (3165343744, 22, 27)
    first, last = found["layers"][0], found["layers"][-1]
    assert {key: first[key] for key in ("path", "op", "output", "params", "macs")} == {
        "path": "conv1.conv",
        "op": "conv",
        "output": [64, 112, 112],
        "params": 9472,
        "macs": 118013952,
    }
    assert (first["receptive_field"], first["stride"], first["bytes"]) == (
        [7, 7],
        [2, 2],
        4 * 64 * 112 * 112,
    )
    assert last["path"].startswith("linear.")
    assert sum(layer["params"] for layer in found["layers"]) == 6998552
    assert found["memory"]["params"] == 4 * 6998552


def test_layers_of_heads_are_listed_on_demand(run: Run) -> None:
    plain, train = (
        json.loads(run("googlenet", "--format", "json", *more)) for more in ((), ("--train",))
    )
    assert {layer["head"] for layer in plain["layers"]} == {""}
    assert {layer["head"] for layer in train["layers"]} == {"", "aux1", "aux2"}
    assert (
        sum(layer["macs"] for layer in train["layers"])
        == plain["macs_with_aux"]
        == train["macs_with_aux"]
    )
    assert train["params"] == plain["params"]


def test_every_format_lists_the_same_layers(run: Run) -> None:
    layers = json.loads(run("googlenet", "--format", "json"))["layers"]
    rows = list(csv.DictReader(io.StringIO(run("googlenet", "--format", "csv"))))
    assert [(row["layer"], int(row["params"]), int(row["MACs"])) for row in rows] == [
        (layer["path"], layer["params"], layer["macs"]) for layer in layers
    ]
    table, markdown = run("googlenet"), run("googlenet", "--format", "markdown")
    lines = [
        line.split() for line in table.split("\n") if line.startswith("inception_5b.3x3.conv.conv ")
    ]
    assert lines == [
        ["inception_5b.3x3.conv.conv", "conv", "384x7x7", "663,936", "32,514,048", "651", "32"]
    ]
    assert (
        "| inception_5b.3x3.conv.conv | conv | 384x7x7 | 663,936 | 32,514,048 | 651 | 32 |"
        in markdown.split("\n")
    )
    assert ["total", "6,998,552", "1,582,671,872"] in [line.split() for line in table.split("\n")]
    assert "| total |  |  | 6,998,552 | 1,582,671,872 |  |  |" in markdown.split("\n")
    for text in (table, markdown):
        assert "6,998,552 (13,378,280 with train-only heads)" in text.replace("\\", "")
        assert "22 (27 with pools)" in text


@pytest.mark.parametrize(("by", "column", "count"), [("row", "row", 20), ("block", "block", 7)])
def test_groups(run: Run, by: str, column: str, count: int) -> None:
    groups = json.loads(run("googlenet", "--by", by, "--format", "json"))[f"{by}s"]
    rows = list(csv.DictReader(io.StringIO(run("googlenet", "--by", by, "--format", "csv"))))
    assert [row[column] for row in rows] == [group["name"] for group in groups]
    assert len(groups) == count
    named = {group["name"]: group for group in groups}
    if by == "row":
        assert named["inception_3a"]["params"] == 163696
        assert named["inception_3a"]["output"] == [256, 28, 28]
    else:
        assert (named["inception"]["count"], named["convolution"]["count"]) == (9, 57)
        assert named["inception"]["params"] == sum(
            (163696, 388736, 376176, 449160, 510104, 605376, 868352, 1043456, 1444080)
        )


def test_memory_is_that_of_the_batch(run: Run) -> None:
    one, many = (
        json.loads(run("lenet5", "--format", "json", "--batch", n))["memory"] for n in ("1", "64")
    )
    assert many["activations_inference"] == 64 * one["activations_inference"]
    assert many["batch"] == 64
    assert (
        one["activations_inference"] == 4 * 2 * 6 * 28 * 28
    )  # the first convolution and its activation
    said = run("lenet5", "--batch", "64")
    assert f"{64 * 36.75 / 1024:.1f} MiB peak activations at inference" in said
    assert (
        f"{many['activations_training'] / 2**20:.1f} MiB kept in training, for a batch of 64"
        in said
    )


@pytest.mark.parametrize("batch", ["0", "-1", "many", "1.5", "99999999999999999999"])
def test_a_batch_is_a_number(batch: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["stats", "lenet5", "--batch", batch])
    assert stopped.value.code == 2
    assert "at least one sample" in capsys.readouterr().err


def test_claims(run: Run) -> None:
    found = json.loads(run("googlenet", "--claims", "--format", "json"))["claims"]
    (conv1,) = [c for c in found if (c["path"], c["quantity"]) == ("conv1", "params")]
    assert (conv1["printed"], conv1["ours"], conv1["status"]) == ("2.7K", 9472, "erratum")
    table = run("googlenet", "--claims")
    assert ["conv1", "params", "2.7K", "9,472", "+242.6%", "erratum"] in [
        line.split() for line in table.split("\n")
    ]
    assert f"conv1: {conv1['erratum']}" in table
    assert f"{sum(c['status'] == 'agrees' for c in found)} agree, 5 excused by an erratum" in table


def test_a_spec_without_printed_figures_says_so(run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("archspec: 1\ninput: [3, 8, 8]\nnetwork:\n  - relu\n")
    assert run(str(spec), "--claims").endswith("\n\nthe spec holds no printed figures\n")
    assert json.loads(run(str(spec), "--claims", "--format", "json"))["claims"] == []


def test_other_tools(run: Run) -> None:
    found = json.loads(run("googlenet-torchvision", "--as", "fvcore", "--format", "json"))["as"]
    assert (found["count"], found["params"]) == (1504878688, 13004888)
    table = run("googlenet-torchvision", "--as", "fvcore")
    assert "1,504,878,688  fvcore" in table
    assert (
        "+6,452,320  batch norm counts two for each value" in table
    )  # 7,280 channels' maps, 3,226,160 values
    assert [line.split()[-1] for line in run("lenet5", "--as", "keras").split("\n")[2:4]] == [
        "ours",
        "keras",
    ]


def test_a_name_cannot_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    text = {
        "archspec": 1,
        "name": "n\x1b[2J\u202e",
        "input": [3, 8, 8],
        "network": [{"name": "=a|\x07", "relu": {}}],
    }
    spec.write_text(json.dumps(text))
    for form in ("table", "csv", "markdown", "json"):
        shown = run(str(spec), "--format", form)
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert run(str(spec), "--format", "csv").splitlines()[1].startswith("'=a|\\x07,relu,")


def test_a_mistake_is_reported_and_nothing_is_counted(run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("archspec: 1\ninput: [3, 8, 8]\nnetwork:\n  - convv: {out: 3, kernel: 1}\n")
    assert run(str(spec), code=1) == ""


def test_notebooks_show_the_rows() -> None:
    shown = archspec.stats(archspec.load("googlenet"))._repr_html_()
    assert shown.startswith("<table>")
    assert "inception_3a" in shown
    assert "6,998,552 (13,378,280 with train-only heads)" in shown
