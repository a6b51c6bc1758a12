"""A pipe, socket, device or folder in the place of a file is refused at once, wherever a user can name one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archspec.cli import main
from tests.helpers.time_limit import time_limit

KINDS = ("pipe", "socket", "device", "directory")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build, a trained run, images in folders, the same packed, and an image."""
    folder = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(6):
            pixels = rng.integers(0, 255, (32, 32), np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{number}.png")
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(folder / "image.png")
    sets = ("classes=2", "train.learning_rate=.1", "train.epochs=1", "train.batch=4")
    options = [f"--set={text}" for text in sets]
    commands = [
        ["build", "lenet5", "--backend", "torch", "-o", f"{folder}/net"],
        ["data", "pack", f"{folder}/images", "-o", f"{folder}/packed"],
        ["train", "lenet5", "--data", f"{folder}/images", "-o", f"{folder}/run", *options],
    ]
    for command in commands:
        assert main([*command, "--quiet"]) == 0
    return folder


@pytest.fixture
def here(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the material, in a folder whose path is short enough for a socket."""
    shutil.copytree(material, tmp_path / "m")
    monkeypatch.chdir(tmp_path / "m")
    return tmp_path / "m"


def put(kind: str, path: str) -> None:
    """Put something of that kind in the place of a file."""
    place = Path(path)
    place.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        place.mkdir()


IMPORT = "--spec lenet5 -o new.safetensors"
CASES = [
    ("it.yaml", "check it.yaml"),
    ("it.yaml", "stats it.yaml"),
    ("it.yaml", "show it.yaml"),
    ("it.yaml", "build it.yaml --backend torch -o new"),
    ("it.yaml", "verify it.yaml"),
    ("it.yaml", "explain-op it.yaml:1"),
    ("it.yaml", "train it.yaml --data digits -o new"),
    ("it.yaml", "init it.yaml"),
    *(
        (f"it.{suffix}", command)
        for suffix in ("safetensors", "pt", "onnx", "keras", "caffemodel")
        for command in (f"weights inspect it.{suffix}", f"weights import it.{suffix} {IMPORT}")
    ),
    ("it.safetensors", "weights export it.safetensors --to torch --spec lenet5 -o new.pt"),
    ("it.pt", "weights convert net/weights.safetensors it.pt --spec lenet5"),
    ("it.safetensors", "weights import net/weights.safetensors --spec lenet5 -o it.safetensors"),
    ("it.yaml", f"weights import net/weights.safetensors --mapping it.yaml {IMPORT}"),
    ("it.safetensors", "build lenet5 --backend torch --weights it.safetensors -o new"),
    ("it.safetensors", "train lenet5 --data images --weights it.safetensors -o new"),
    ("it.safetensors", "verify lenet5 --backends torch --weights it.safetensors"),
    ("net/manifest.json", "run net image.png"),
    ("net/weights.safetensors", "run net image.png"),
    ("net/model.py", "run net image.png"),
    ("net/model.py", "build lenet5 --backend torch --seed 1 -o net"),
    ("net/manifest.json", "build lenet5 --backend torch --seed 1 -o net"),
    ("it.png", "run net it.png"),
    ("it.txt", "run net image.png --labels it.txt"),
    ("it.npz", "data check it.npz"),
    ("it.npz", "train lenet5 --data it.npz -o new"),
    ("images/dark/3.png", "data check images"),
    ("images/dark/3.png", "data pack images -o new"),
    *((f"packed/{name}", "data check packed") for name in ("shards.json", "train.npy")),
    *((f"packed/{name}", "data check packed") for name in ("train-00000.tar",)),
    *((f"run/{name}", "eval run") for name in ("run.json", "spec.yaml", "manifest.json")),
]


EVERY = [
    (kind, place, command)
    for place, command in CASES
    for kind in KINDS
    if not (kind == "directory" and place.startswith("images/"))  # these may hold folders
]


@pytest.mark.parametrize(("kind", "place", "command"), EVERY, ids=lambda part: part)
def test_it_is_refused_at_once(
    here: Path, capsys: pytest.CaptureFixture[str], kind: str, place: str, command: str
) -> None:
    put(kind, place)
    capsys.readouterr()
    with time_limit(30):
        code = main(command.split())
    out, err = capsys.readouterr()
    assert code == 1, out + err
    assert "fault of archspec" not in err
    assert Path(place).name in out + err or Path(place).parent.name in out + err
    assert os.path.lexists(place)
    assert not Path("new").exists()
    assert not Path("new.safetensors").exists()


def test_what_a_shell_opens_for_a_command_is_read() -> None:
    spec = "archspec: 1\\ninput: [3, 8, 8]\\nnetwork: [relu]\\n"
    archspec = f"{sys.executable} -m archspec"
    command = (
        f"printf '{spec}' | {archspec} check /dev/stdin && {archspec} check <(printf '{spec}')"
    )
    assert subprocess.run(["bash", "-c", f"set -o pipefail; {command}"]).returncode == 0
