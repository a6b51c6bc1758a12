"""The image of a run: what is in it, that equal runs give equal bytes, and that no name spoils it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from archspec.diagnostics import Failure
from archspec.train.curves import CURVES_FILE, NO_MATPLOTLIB, panels, write_curves
from archspec.train.log import MetricsLog

TEXT = "{http://www.w3.org/2000/svg}text"


def run(folder: Path, *, heads: tuple[str, ...] = ("main",), validation: bool = True) -> Path:
    """Two epochs with two reports each; on the validation part the first is the better one."""
    folder.mkdir(exist_ok=True)
    log = MetricsLog(folder, 0)
    for step in (5, 10, 15, 20):
        losses = {name: 3 / step + at for at, name in enumerate(heads)}
        losses["loss"] = sum(losses.values())
        log.add(
            step, "train", epoch=step / 10, learning_rate=0.1 / step, losses=losses, waiting=0.5
        )
        if validation and step % 10 == 0:
            log.add(step, "validation", epoch=step / 10, loss=0.5, top1=1 - step / 100, top5=1.0)
    return folder


def drawn(folder: Path, title: str = "net on data") -> bytes:
    write_curves(folder, title, pytest.fail)
    return (folder / CURVES_FILE).read_bytes()


def texts(picture: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(picture).iter(TEXT)]


def test_it_has_the_losses_the_validation_data_and_the_rate(tmp_path: Path) -> None:
    found = texts(drawn(run(tmp_path)))
    assert {"net on data", "epoch", "loss", "validation accuracy", "learning rate"} <= {*found}
    assert {"training", "validation", "top-1, best 90.00% after epoch 1"} <= {*found}
    assert "top-5" not in found  # it is 1 all along


def test_the_lines_are_the_reports() -> None:
    reports = [
        {
            "kind": "train",
            "epoch": 0.5,
            "learning_rate": 0.1,
            "losses": {"main": 2.0, "aux": 3.0, "loss": 2.9},
        },
        {
            "kind": "train",
            "epoch": 1.0,
            "learning_rate": 0.05,
            "losses": {"main": 1.0, "aux": 2.0, "loss": 1.6},
        },
        {"kind": "validation", "epoch": 1.0, "loss": 1.5, "top1": 0.25, "top5": 0.75},
    ]
    found = {
        panel.title: {line.label: (line.epochs, line.values) for line in panel.curves}
        for panel in panels(reports)
    }
    epochs = [0.5, 1.0]
    assert found == {
        "loss": {
            "training, main": (epochs, [2.0, 1.0]),
            "training, aux": (epochs, [3.0, 2.0]),
            "training, weighted sum": (epochs, [2.9, 1.6]),
            "validation": ([1.0], [1.5]),
        },
        "validation accuracy": {
            "top-1, best 25.00% after epoch 1": ([1.0], [0.25]),
            "top-5": ([1.0], [0.75]),
        },
        "learning rate": {"": (epochs, [0.1, 0.05])},
    }


def test_equal_runs_are_equal_bytes_whatever_the_user_has_set(tmp_path: Path) -> None:
    one = drawn(run(tmp_path / "one"))
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30}):
        assert drawn(run(tmp_path / "two")) == one
        assert mpl.rcParams["font.size"] == 30
    assert not list(tmp_path.rglob(f".{CURVES_FILE}"))


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    found = texts(drawn(run(tmp_path, heads=("_$x^$", "<b>深層&")), "$\\frac$ on \x1b.npz"))
    assert {"training, _$x^$", "training, <b>深層&", "$\\frac$ on \\x1b.npz"} <= {*found}


def test_without_a_validation_part_there_is_no_accuracy_and_without_reports_no_image(
    tmp_path: Path,
) -> None:
    found = texts(drawn(run(tmp_path / "run", validation=False)))
    assert "loss" in found
    assert "validation accuracy" not in found
    write_curves(tmp_path, "nothing", pytest.fail)
    assert not (tmp_path / CURVES_FILE).exists()


def test_without_matplotlib_it_is_said_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_curves(run(tmp_path), "net", said.append)
    assert said == [NO_MATPLOTLIB]
    assert not (tmp_path / CURVES_FILE).exists()


def test_a_full_disk_is_said_and_leaves_the_image_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = drawn(run(tmp_path))
    real = Path.replace

    def full(path: Path, target: Any) -> Path:
        if path.name == f".{CURVES_FILE}":
            raise OSError(28, "No space left on device")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Failure, match="cannot write .*: no space left"):
        write_curves(tmp_path, "another", pytest.fail)
    assert (tmp_path / CURVES_FILE).read_bytes() == before
    assert not list(tmp_path.glob(f".{CURVES_FILE}"))
