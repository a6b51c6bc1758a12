"""What is read from a folder may be anybody's: each wrong value is named by its key, and nothing of it steers a terminal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from archspec.cli import main
from archspec.train.checkpoint import list_checkpoints
from archspec.train.log import read_metrics

ESCAPES = "\x1b[31mred\x1b]0;title\x07"
DEEP = '{"archspec": ' + "[" * 100_000
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run, whose folder is a build too, and an image."""
    folder = tmp_path_factory.mktemp("material")
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(folder / "image.png")
    sets = ("train.learning_rate=.1", "train.epochs=1", "train.batch=64")
    options = [f"--set={text}" for text in sets]
    command = ["train", "lenet5", "--data", "digits", "-o", f"{folder}/run", "--quiet", *options]
    assert main(command) == 0
    return folder


@pytest.fixture(autouse=True)
def here(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(material, tmp_path / "m")
    monkeypatch.chdir(tmp_path / "m")
    return tmp_path / "m"


def change(path: str, change: Change) -> None:
    values = json.loads(Path(path).read_text())
    change(values)
    Path(path).write_text(json.dumps(values))


def said(capsys: pytest.CaptureFixture[str], command: str, code: int = 1) -> str:
    capsys.readouterr()
    found = main(command.split())
    out, err = capsys.readouterr()
    assert found == code, out + err
    assert "\x1b" not in out + err
    assert "\x07" not in out + err
    assert len(out + err) < 2000
    return err


MANIFESTS: dict[str, tuple[Change, str]] = {
    "a seed that is text": (lambda m: m.update(seed=ESCAPES), r"`seed` is wrong: found `"),
    "a long seed": (lambda m: m.update(seed="9" * 10**6), "`seed` is wrong"),
    "a huge seed": (lambda m: m.update(seed=10**30), "is not JSON, or damaged"),
    "no input": (lambda m: m.update(input=[]), "`input` is wrong: found `[]`"),
    "a size of 0": (lambda m: m.update(input=[1, 0, 8]), "`input.1` is wrong: found `0`"),
    "not a number": (
        lambda m: m["preprocess"].update(scale=float("nan")),
        "is not JSON, or damaged",
    ),
    "a mean of text": (
        lambda m: m["preprocess"].update(mean=[ESCAPES]),
        "`preprocess.mean.0` is wrong: found",
    ),
    "labels that are numbers": (lambda m: m.update(labels=[1]), "`labels.0` is wrong: found `1`"),
    "a backend that is a list": (
        lambda m: m.update(backend=[]),
        "`backend` is wrong: found `[]`",
    ),
    "no output": (lambda m: m.pop("output"), "`output` is wrong: it is missing"),
    "a hash that is none": (lambda m: m["files"].update({"model.py": 1}), "`files.model.py`"),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_is_wrong(capsys: pytest.CaptureFixture[str], what: str) -> None:
    changed, message = MANIFESTS[what]
    change("run/manifest.json", changed)
    for command in ("run run image.png --trust", "eval run --trust"):
        assert message in said(capsys, command)


@pytest.mark.parametrize("name", ["manifest.json", "run.json"])
@pytest.mark.parametrize("text", [DEEP, "[]", "", "\x00", "1" * 5000, '"' + ESCAPES, "\udcff"])
def test_what_is_no_json_of_ours(capsys: pytest.CaptureFixture[str], name: str, text: str) -> None:
    Path("run", name).write_text(text, errors="surrogateescape")
    commands = ["eval run --trust"]
    if name == "manifest.json":
        commands += ["run run image.png --trust", "build lenet5 --backend torch -o run"]
    for command in commands:
        assert "run" in said(capsys, command)


RESUME = (
    "train lenet5 --data digits -o run --resume "
    "--set train.learning_rate=.1 --set train.epochs=2 --set train.batch=64"
)
RUNS: dict[str, Change] = {
    "val_split": lambda r: r.update(val_split="1"),
    "val_split.": lambda r: r.update(val_split=7.0),
    "samples": lambda r: r.update(samples=[ESCAPES]),
    "samples.train": lambda r: r["samples"].update(train=-1),
    "classes.0": lambda r: r["classes"].__setitem__(0, 7),
    "commands": lambda r: r.pop("commands"),
    "recipe": lambda r: r.update(recipe=3),
    "trained": lambda r: r.update(trained=True),
    "id": lambda r: r.update(id=[ESCAPES]),
    "network": lambda r: r.update(network=7),
    "preprocess": lambda r: r.update(preprocess=ESCAPES),
}


@pytest.mark.parametrize("key", RUNS)
def test_a_run_json_that_is_wrong(capsys: pytest.CaptureFixture[str], key: str) -> None:
    change("run/run.json", RUNS[key])
    for command in ("eval run", RESUME):
        assert f"`{key.rstrip('.')}` is wrong: " in said(capsys, command)
    said(capsys, "run run image.png", 0)  # which takes only the names of classes from it


def test_a_recipe_of_another_kind_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    change("run/run.json", lambda r: r["recipe"].update(batch=ESCAPES))
    error = said(capsys, RESUME)
    assert "was trained with `batch` \\x1b[31mred" in error


TRAINING: dict[str, Change] = {
    "step": lambda t: t.update(step="3"),
    "best": lambda t: t.update(best=ESCAPES),
    "best_step": lambda t: t.update(best_step=-1),
    "scores": lambda t: t.update(scores=[]),
    "updates": lambda t: t.pop("updates"),
    "backend_state.x.dtype": lambda t: t["backend_state"].update(
        x={"dtype": "|O", "shape": [1], "data": ""}
    ),
    "": lambda t: t["backend_state"].update(
        x={"dtype": "<f8", "shape": [2**61, 9], "data": "AAAA"}
    ),
}


@pytest.mark.parametrize("key", TRAINING)
def test_a_checkpoint_whose_progress_is_wrong(capsys: pytest.CaptureFixture[str], key: str) -> None:
    for path in list_checkpoints(Path("run")):
        with safe_open(path, "numpy") as file:
            metadata = json.loads(file.metadata()["archspec"])
        TRAINING[key](metadata["training"])
        raw = path.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        header["__metadata__"]["archspec"] = json.dumps(metadata)
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
    message = said(capsys, "eval run --best")
    assert "does not say how far its run was" in message
    assert f"`{key}` is wrong" in message or not key


def test_lines_of_a_log_that_are_damaged_are_skipped() -> None:
    whole = read_metrics(Path("run"))
    wrong = (
        '{"step": -1, "kind": "train"}', '{"step": 1, "kind": 3}', '{"step": 1, "kind": "a", "x": [1]}',
        '{"step": 1, "kind": "train", "losses": {"main": "high"}}', "[" * 100_000, "[]", "null", "\x00",
        '{"step": 1, "kind": "train", "loss": 1e39}', '{"step": 1, "kind": "train", "loss": NaN}',
        '{"step": 1, "kind": "a", "\\udcff": 1}', '{"step": 1, "kind": "train", "epoch": null',
    )  # fmt: skip
    with Path("run/metrics.jsonl").open("a") as file:
        file.write("".join(f"{line}\n" for line in wrong))
    assert read_metrics(Path("run")) == whole
    command = "train lenet5 --data digits -o run --resume --quiet --set train.learning_rate=.1"
    assert main(f"{command} --set train.epochs=2 --set train.batch=64".split()) == 0
