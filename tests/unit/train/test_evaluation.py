"""Scores of runs: held against scikit-learn and torch, and against what training itself reported."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics
from torch.nn import functional as F

from archspec.analysis.tables import text
from archspec.backend import load as load_backend
from archspec.backend.process_group import SingleProcess
from archspec.cli import main
from archspec.train import evaluation, tables
from archspec.train.data import Batch, open_data
from archspec.train.evaluation import Evaluation, average_outputs
from archspec.train.log import read_metrics
from archspec.train.scores import Scores

SPEC = """archspec: 1
name: small
input: [1, 8, 8]
args: {out: 3, loss: cross_entropy}
network: [{name: conv, conv: {out: 4, kernel: 3}}, relu, global_avg_pool, flatten, {name: fc, linear: {out: $out}}]
heads: {main: {loss: LOSS}}
preprocess: {channels: gray, scale: 0.00392156862745098, crop: none}
train: {learning_rate: 0.5, epochs: 4, batch: 16, momentum: 0.9, average: ema, ema_decay: 0.5}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of two and of three classes, told apart by how bright they are."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for classes in (2, 3):
        y = rng.integers(0, classes, 90)
        x = (rng.uniform(0, 120, (90, 8, 8)) + 60 * y[:, None, None]).astype(np.uint8)
        np.savez(f"{classes}.npz", x=x, y=y)
    return tmp_path


def trained(
    folder: str, *more: str, loss: str = "cross_entropy", out: int = 3, data: str = "3.npz"
) -> None:
    Path("small.yaml").write_text(SPEC.replace("LOSS", loss).replace(", loss: cross_entropy", ""))
    sets = ["--set", f"out={out}", *more]
    assert main(["train", "small.yaml", "--data", data, "-o", folder, "--quiet", *sets]) == 0


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main(["eval", *arguments, "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["eval", *arguments]) == 1
    return capsys.readouterr().err


def outputs_and_labels(classes: int, width: int | None = None) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((5, 40, width or classes)) * 3, rng.integers(0, classes, 40)


def test_the_mean_of_probabilities_is_that_of_torch() -> None:
    outputs, y = outputs_and_labels(4)
    mean = torch.as_tensor(outputs).softmax(-1).mean(0)
    np.testing.assert_allclose(average_outputs("cross_entropy", outputs), mean.log(), rtol=1e-12)
    scores = Scores("cross_entropy", 4)
    scores.add(average_outputs("cross_entropy", outputs), y)
    assert scores.loss == pytest.approx(
        float(F.nll_loss(mean.log(), torch.as_tensor(y))), rel=1e-12
    )


@pytest.mark.parametrize("width", [1, 4])
def test_so_it_is_where_each_value_is_a_probability(width: int) -> None:
    outputs, y = outputs_and_labels(max(width, 2), width)
    mean = torch.as_tensor(outputs).sigmoid().mean(0)
    wanted = (
        torch.as_tensor(y)[:, None].double()
        if width == 1
        else F.one_hot(torch.as_tensor(y), 4).double()
    )
    scores = Scores("binary_cross_entropy", max(width, 2))
    scores.add(average_outputs("binary_cross_entropy", outputs), y)
    expected = F.binary_cross_entropy(mean, wanted, reduction="none").sum(1).mean()
    assert scores.loss == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("kind", ["cross_entropy", "binary_cross_entropy"])
def test_certainty_does_not_round_to_one(kind: str) -> None:
    outputs = np.array([[[800.0, -800.0]], [[800.0, -800.0]]])
    scores = Scores(kind, 2)
    scores.add(average_outputs(kind, outputs), np.array([1]))
    assert scores.loss == pytest.approx(1600, rel=1e-12)


def test_the_scores_are_those_of_scikit_learn() -> None:
    (outputs, *_), y = outputs_and_labels(8)
    scores = Scores("cross_entropy", 8)
    for part in (slice(0, 7), slice(7, 7), slice(7, 40)):  # a batch may be empty
        scores.add(outputs[part], y[part])
    taken = outputs.argmax(1)
    assert scores.top1 == metrics.accuracy_score(y, taken)
    assert scores.top5 == metrics.top_k_accuracy_score(y, outputs, k=5, labels=range(8))
    assert scores.confusion.tolist() == metrics.confusion_matrix(y, taken, labels=range(8)).tolist()
    each = [scores.for_class(index) for index in range(8)]
    precision, recall, _, count = metrics.precision_recall_fscore_support(
        y, taken, labels=range(8), zero_division=cast("Any", 0)
    )
    assert [one.recall or 0 for one in each] == pytest.approx(recall)
    assert [one.precision or 0 for one in each] == pytest.approx(precision)
    assert [one.samples for one in each] == list(cast("Any", count))
    assert [one.confused_with for one in each] == [
        _most_often(taken[(y == k) & (taken != k)]) for k in range(8)
    ]


def _most_often(classes: Any) -> int | None:
    return int(np.bincount(classes).argmax()) if len(classes) else None


class Heard(SingleProcess):
    """Adds up what one process after the other gives: the last of them has the sum."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def all_reduce(self, values: Any) -> Any:
        self.values.append(values)
        return np.sum(self.values, axis=0)


def test_two_processes_have_the_scores_of_one() -> None:
    rng = np.random.default_rng(0)
    outputs, labels = rng.standard_normal((17, 7)), rng.integers(0, 7, 17)
    whole, one, two = (Scores("cross_entropy", 7) for _ in range(3))
    whole.add(outputs, labels)
    one.add(outputs[::2], labels[::2])
    two.add(outputs[1::2], labels[1::2])
    group = Heard()
    _, found = one.all_reduce(group), two.all_reduce(group)
    assert found.summary() == pytest.approx(whole.summary(), rel=1e-12)
    assert found.confusion.tolist() == whole.confusion.tolist()
    assert found.count == 17


@pytest.mark.parametrize(
    ("loss", "out", "data"),
    [
        ("cross_entropy", 3, "3.npz"),
        ("binary_cross_entropy", 3, "3.npz"),
        ("binary_cross_entropy", 1, "2.npz"),
    ],
)
def test_a_run_is_scored_as_in_training(
    loss: str, out: int, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained("run", loss=loss, out=out, data=data)
    last = [line for line in read_metrics(Path("run")) if line["kind"] == "validation"][-1]
    found = evaluated(capsys, "run")
    for name in ("loss", "top1", "top5"):
        assert (
            found["runs"]["run"][name]
            == found["ensemble"][name]
            == pytest.approx(last[name], rel=1e-12)
        )
    assert found["devices"]["run"] == json.loads(Path("run/run.json").read_text())["device"]


def test_the_best_epoch_is_scored_by_its_average(capsys: pytest.CaptureFixture[str]) -> None:
    trained("run", "--keep", "1", "--set", "train.learning_rate=3")
    lines = [line for line in read_metrics(Path("run")) if line["kind"] == "validation"]
    best = max(lines, key=lambda line: line["top1"])
    assert best["step"] < lines[-1]["step"], "another seed is needed for this test"
    found = evaluated(capsys, "run", "--best")["runs"]["run"]
    assert (found["loss"], found["top1"]) == pytest.approx((best["loss"], best["top1"]), rel=1e-12)


def test_together_is_the_mean_of_probabilities(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        trained(f"run{seed}", "--set", f"train.seed={seed}")
    found = evaluated(capsys, "run0", "run1")
    with np.load("3.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    names = [
        sample.name
        for sample in map(open_data("3.npz").validation.__getitem__, range(found["samples"]))
    ]
    chosen = [int(name[2:-1]) for name in names]
    pixels = torch.as_tensor(x[chosen, None] / 255, dtype=torch.float32)
    likely = torch.stack(
        [
            load_backend("torch").load(Path(f"run{seed}"))(pixels).double().softmax(1)
            for seed in (0, 1)
        ]
    ).mean(0)
    assert found["ensemble"]["top1"] == metrics.accuracy_score(y[chosen], likely.argmax(1))
    assert found["ensemble"]["loss"] == pytest.approx(
        metrics.log_loss(y[chosen], likely.detach()), rel=1e-5
    )


def test_tables_are_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    trained("run")
    confusion = evaluated(capsys, "run")["ensemble"]["confusion"]
    assert main(["eval", "run", "--confusion", "--format", "csv"]) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert rows == [
        ["true \\ predicted", "0", "1", "2"],
        *([str(k), *map(str, confusion[k])] for k in range(3)),
    ]
    assert main(["eval", "run", "--confusion", "--quiet"]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert printed[-3:] == [[str(k), *map(str, confusion[k])] for k in range(3)]
    assert main(["eval", "run", "--classes", "--format", "csv"]) == 0
    first, *each = csv.DictReader(capsys.readouterr().out.splitlines())
    assert (first["class"], first["samples"]) == ("0", str(sum(confusion[0])))
    assert float(first["recall"]) == confusion[0][0] / sum(confusion[0])
    assert len(each) == 2


def test_the_table_has_what_more_models_and_crops_bring() -> None:
    (*outputs, _), y = outputs_and_labels(8)
    found: list[Scores] = []
    for own in outputs[:3]:
        found.append(Scores("cross_entropy", 8))
        found[-1].add(own, y)
    one, two = found[:2]
    evaluations = [Evaluation((), {"a": one, "b": two}, found[2], crops) for crops in (1, 10)]
    table = tables.score_table(evaluations)
    first, *rows = [
        dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows
    ]
    top5 = [metrics.top_k_accuracy_score(y, own, k=5, labels=range(8)) for own in outputs[:3]]
    assert (first["run"], first["cost"], first["vs. first row"]) == ("a", 1, None)
    assert [row["cost"] for row in rows] == [1, 2, 10, 10, 20]
    assert [row["vs. first row"] for row in rows[:2]] == pytest.approx(
        [top5[0] - top5[1], top5[0] - top5[2]]
    )
    assert f"{top5[0] - top5[1]:+.2%}" in text(table)


def test_runs_that_cannot_be_one_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    trained("three")
    trained("each", loss="binary_cross_entropy")
    trained("two", out=2, data="2.npz")
    error = refused(capsys, "three", "each")
    assert "`each` ends in binary_cross_entropy of 3, `three` in cross_entropy of 3" in error
    assert "score each by itself" in error
    assert "`two` was trained on other classes than `three`" in refused(
        capsys, "three", "two", "--data", "3.npz"
    )
    assert "`3.npz` has classes that `two` was not trained on: `2`" in refused(
        capsys, "two", "--data", "3.npz"
    )


def test_what_was_broken_off_has_a_best_epoch_if_one_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained("run")
    facts = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**facts, "trained": 0}))
    assert "was interrupted" in refused(capsys, "run")
    assert main(["eval", "run", "--best"]) == 0
    for path in Path("run/checkpoints").iterdir():
        path.unlink()
    assert "`run` has no best epoch" in refused(capsys, "run", "--best")


def write_images(root: str) -> None:
    for name in ("a", "b", "c"):
        Path(root, name).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(np.full((8, 8), 30 * number, np.uint8)).save(
                f"{root}/{name}/{number}.png"
            )


def test_what_cannot_be_read_is_left_out_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    write_images("images")
    trained("run", data="images")
    whole = evaluated(capsys, "run")
    for path in Path("images/b").iterdir():
        path.write_bytes(bytes(path.stat().st_size))
    assert re.search(
        r"cannot read `.*images/b/\d.png`", refused(capsys, "run")
    )  # a long path is cut in its middle
    assert main(["eval", "run", "--bad-data", "skip", "--format", "json"]) == 0
    printed = capsys.readouterr()
    (found,) = json.loads(printed.out)
    assert (
        len(found["bad"])
        == whole["samples"] - found["samples"]
        == sum(whole["ensemble"]["confusion"][1])
    )
    assert f"cannot read {found['bad'][0]}; it is left out" in printed.err


def test_what_some_crops_cannot_be_made_of_is_counted_for_those(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_images("images")
    trained("run", data="images")
    write_images("strips")
    Image.new("L", (3_400_000, 1)).save(
        "strips/b/strip.png"
    )  # scaled up for the corners' sake it is too large
    capsys.readouterr()
    assert main(["eval", "run", "--data", "strips", "--crops", "1,10", "--bad-data", "skip"]) == 0
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()]
    assert [row[rows[0].index("samples")] for row in rows[2:4]] == ["25", "24"]
    assert "25 samples of `strips`, 1 unreadable" in printed.out
    assert "cannot read b/strip.png; it is left out" in printed.err


def test_names_that_are_no_utf_8_are_spelt_out(capsys: pytest.CaptureFixture[str]) -> None:
    write_images("images")
    kind, folder = (os.fsdecode(name) for name in (b"caf\xe9", b"run\xe9"))
    Path("images/b").rename(f"images/{kind}")
    trained(folder, data="images")  # whose weights safetensors will not open
    assert capsys.readouterr().out.startswith("run\\udce9: small, trained")
    trained("run", data="images")
    for output in ("table", "csv"):
        assert main(["eval", "run", "--classes", "--format", output]) == 0
        assert "caf\\udce9" in capsys.readouterr().out
    assert evaluated(capsys, "run")["classes"] == ["a", "c", kind]
    assert main(["run", "run", "images/a/1.png", "--format", "json", "--quiet"]) == 0
    assert kind in {one["label"] for one in json.loads(capsys.readouterr().out)["images/a/1.png"]}


def test_outputs_that_are_not_finite_have_no_scores(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = (
        np.random.default_rng(0).choice([-1, 1], (12, 1, 8, 8)).astype(np.float32),
        np.arange(12) % 3,
    )
    np.savez("values.npz", x=x, y=y)
    trained("run", data="values.npz")
    np.savez("huge.npz", x=x * np.finfo(np.float32).max, y=y)
    error = refused(capsys, "run", "--data", "huge.npz", "--quiet")
    assert error.startswith("error: the outputs of `run` are not finite for all samples")
    assert "scale down the data" in error


def test_runs_that_cannot_read_the_same_samples_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(source: Any, way: Any, *more: Any) -> Any:
        spoilt = ("a.png",) if way.preprocess.channels == "gray" else ()
        for _ in range(1 if spoilt else 2):
            yield Batch(np.zeros((2, *way.shape), np.float32), np.zeros(2, np.int64), spoilt)

    trained("one")
    trained("other")
    manifest = json.loads(Path("other/manifest.json").read_text())
    manifest["preprocess"]["channels"] = "rgb"
    Path("other/manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr(evaluation, "evaluation_batches", whole)
    assert "not all runs can read the same samples: `a.png`" in refused(capsys, "one", "other")
