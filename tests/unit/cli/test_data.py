"""`archspec data` from the command line: what it prints, how far it is, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from archspec.cli import main


@pytest.fixture
def noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    np.savez(
        "noise.npz",
        x=np.random.default_rng(0).integers(0, 256, (100, 8, 8), np.uint8),
        y=np.arange(100) % 4,
    )
    return "noise.npz"


def test_what_is_packed_is_counted(noise: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["data", "pack", noise, "-o", "packed", "--shard-size", "100KB", "--size", "6"]) == 0
    )
    printed, said = capsys.readouterr()
    assert printed == "packed\n"
    # Of each sample two headers and two short files, of a block of 512 each; a shard ends with two, at a multiple of 20.
    full, rest = (-(-(count * 4 + 2) // 20) * 20 * 512 for count in (44, 12))
    assert full < 100_000 < full + 20 * 512
    assert said == f"100 images of 4 classes in 3 shards, {2 * full + rest:,} bytes\n"
    assert json.loads(Path("packed/shards.json").read_text())["size"] == 6
    assert main(["data", "check", "packed", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["check", "pack"])
def test_a_terminal_shows_how_far_it_is(
    command: str, noise: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    more = ["-o", "packed"] if command == "pack" else []
    assert main(["data", command, noise, *more]) == 0
    assert "100/100" in capsys.readouterr().err


def test_without_rich_there_is_no_bar(
    noise: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main(["data", "check", noise]) == 0
    assert capsys.readouterr().err == "4 classes, 100 training images, all readable\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "noise.npz", "--workers", "-1"], "--workers is at least 0"),
        (["pack", "noise.npz", "-o", "packed", "--size", "0"], "--size is at least 1"),
        *(
            (["pack", "noise.npz", "-o", "packed", "--shard-size", size], f"as 256MB, found {size}")
            for size in ("", "much", "0", "1TB", "-1", "1e9", "nan")
        ),
    ],
)
def test_wrong_usage_is_refused(
    arguments: list[str], message: str, noise: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not Path("packed").exists()
