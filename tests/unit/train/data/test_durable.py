"""`archspec train` on data that are damaged, and where its processes, its disk or its rights fail it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archspec.cli import main
from archspec.train.checkpoint import list_checkpoints
from archspec.train.data import pack
from archspec.train.log import read_metrics

SPEC = """archspec: 1
name: small
input: [1, 8, 8]
network:
  - {name: conv, conv: {out: 4, kernel: 3}}
  - relu
  - global_avg_pool
  - flatten
  - {name: fc, linear: {out: 2}}
preprocess: {channels: gray, crop: none}
train: {learning_rate: 0.1, epochs: 2, batch: 8, momentum: 0.9}
"""
BAD = ("train/a/3.png", "train/b/5.png", "val/a/1.png")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SPEC)
    rng = np.random.default_rng(0)
    for part, many in (("train", 20), ("val", 6)):
        for name in ("a", "b"):
            Path("images", part, name).mkdir(parents=True)
            for number in range(many):
                pixels = rng.integers(0, 256, (8, 8), np.uint8)
                Image.fromarray(pixels).save(f"images/{part}/{name}/{number}.png")
    return tmp_path


def trained(*more: str, data: str = "images", folder: str = "run") -> list[str]:
    return ["train", "small.yaml", "--data", data, "-o", folder, *more]


def damage() -> None:
    for name in BAD:
        path = Path("images", name)
        path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize("packed", [False, True])
def test_images_that_are_damaged_end_the_run_or_are_named_and_passed_over(
    packed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    damage()
    data = "images"
    if packed:
        pack("images", Path(data := "packed"))
    assert main(trained(data=data)) == 1
    said = capsys.readouterr().err
    assert "error: cannot read `" in said
    assert any(name in said for name in BAD)
    assert "Traceback" not in said
    assert main(trained("--bad-data", "skip", data=data, folder="other")) == 0
    said = capsys.readouterr().err
    assert all(said.count(name) == 1 for name in BAD)
    assert main(["eval", "other", "--bad-data", "skip"]) == 0
    printed, said = capsys.readouterr()
    assert " 11 " in printed
    assert BAD[2] in printed + said
    assert main(["data", "check", data]) == 1
    assert len(capsys.readouterr().out.splitlines()) == len(BAD)


def test_an_epoch_of_nothing_but_damaged_images_ends_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in Path("images/train").rglob("*.png"):
        path.write_bytes(b"")
    assert main(trained("--bad-data", "skip")) == 1
    assert "can be read, as `train/" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_class_without_images_is_named_before_anything_is_written(
    part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in Path("images", part, "b").iterdir():
        path.unlink()
    assert main(trained()) == 1
    assert f"the class `images/{part}/b` has no images" in capsys.readouterr().err
    assert not Path("run").exists()


def test_a_share_of_data_with_their_own_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(trained("--val-split", "7")) == 2
    assert (
        "has a validation part of its own\n  help: leave out --val-split" in capsys.readouterr().err
    )
    assert not Path("run").exists()
    assert main(trained()) == 0
    assert main(trained("--resume")) == 0
    assert main(["eval", "run"]) == 0


def workers(parent: int) -> list[int]:
    """The processes below it that prepare data, and not the one that keeps track of shared memory."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(") ")[2].split()
            command = (path.parent / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent and "spawn_main" in command:
            found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for the processes in /proc")
def test_a_worker_that_dies_ends_the_run_and_it_resumes_from_there() -> None:
    command = [sys.executable, "-m", "archspec", *trained("--save-every", "1", "--quiet")]
    many = ["--set", "train.epochs=4000"]
    with subprocess.Popen(
        [*command, *many, "--workers", "1"], stderr=subprocess.PIPE, text=True
    ) as run:
        while not list_checkpoints(Path("run")):
            assert run.poll() is None
            time.sleep(0.05)
        os.kill(min(workers(run.pid)), signal.SIGKILL)  # the oldest: those that score come and go
        said = run.communicate(timeout=60)[1]
    assert run.returncode == 1
    assert (
        "error: a process that prepares the data was ended from outside\n  help: memory or shared memory"
        in said
    )
    assert "Traceback" not in said
    done = int(list_checkpoints(Path("run"))[-1].stem.removeprefix("step-"))
    epochs = done // 5 + 1
    assert main([*trained("--resume", "--quiet"), "--set", f"train.epochs={epochs}"]) == 0
    assert main([*trained("--quiet", folder="whole"), "--set", f"train.epochs={epochs}"]) == 0
    one, other = (Path(folder, "weights.safetensors").read_bytes() for folder in ("run", "whole"))
    assert one == other


FULL = """
import resource, sys
from archspec.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)  # as a disk that is full after so many bytes
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("room", [100, 3000])
def test_a_disk_that_is_full_is_a_clear_error_and_the_run_resumes_once_there_is_room(
    room: int,
) -> None:
    command = [sys.executable, "-c", FULL, str(room), *trained("--quiet")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write `")
    assert "file too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert main(trained("--resume", "--quiet")) == 0
    assert read_metrics(Path("run"))[-1]["step"] == 10
    assert not list(Path("run").rglob(".*"))


@pytest.mark.parametrize("output", ["images/train/run", "elsewhere/run", "images/../images/run"])
@pytest.mark.parametrize(
    "command", [trained(), ["data", "pack", "images", "-o", "run"]], ids=["train", "pack"]
)
def test_what_is_written_may_not_become_a_part_of_the_data(
    command: list[str], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("elsewhere").symlink_to("images/val")
    before = sorted(Path("images").rglob("*"))
    assert main([output if word == "run" else word for word in command]) == 1
    assert (
        f"error: `{output}` lies in the data `images`\n  help: `-o` names"
        in capsys.readouterr().err
    )
    assert sorted(Path("images").rglob("*")) == before


def test_beside_a_folder_called_as_a_packaged_set_is_none_of_its_data() -> None:
    assert main(["data", "pack", "digits", "-o", "digits/packed", "--quiet"]) == 0


LONG = "x" * 300


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (trained(data=LONG), "cannot read"),
        (["data", "check", LONG], "cannot read"),
        (["data", "pack", LONG, "-o", "packed"], "cannot read"),
        (["data", "pack", "images", "-o", LONG], "cannot write"),
    ],
)
def test_a_name_that_is_too_long_is_a_clear_error(
    command: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 1
    assert capsys.readouterr().err.startswith(
        f"error: {message} `{LONG[:40]}...{LONG[:37]}`: file name too long\n"
    )


@pytest.mark.parametrize("folder", ["images", "images/train", "images/train/b"])
@pytest.mark.parametrize(
    "command", [trained(), ["data", "check", "images"]], ids=["train", "check"]
)
def test_a_folder_that_may_not_be_read_is_a_clear_error(
    command: list[str],
    folder: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refusing(system: Any) -> Any:  # an administrator may read whatever its mode says
        def call(path: Any = ".", *more: Any, **named: Any) -> Any:
            if str(path) == folder or (
                Path(str(path)).parent == Path(folder) and system is os.stat
            ):
                raise PermissionError(13, "Permission denied", str(path))
            return system(path, *more, **named)

        return call

    for name in ("listdir", "scandir", "stat"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    assert main(command) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: cannot read `{folder}")
    assert "permission denied\n" in said


@pytest.mark.parametrize(
    "command", [trained(), ["data", "pack", "images", "-o", "run"]], ids=["train", "pack"]
)
def test_a_folder_that_may_not_be_written_is_a_clear_error(
    command: list[str],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make = os.mkdir

    def refused(
        path: Any, *mode: int, **more: Any
    ) -> None:  # an administrator may write whatever its mode says
        if Path(path).absolute().is_relative_to(here):
            raise PermissionError(13, "Permission denied", path)
        make(path, *mode, **more)

    monkeypatch.setattr(os, "mkdir", refused)
    assert main(command) == 1
    assert capsys.readouterr().err.startswith("error: cannot write `run`: permission denied\n")
    assert {path.name for path in here.iterdir()} == {"images", "small.yaml"}
