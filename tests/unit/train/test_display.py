"""What is seen of a run: a bar on a terminal, plain lines elsewhere, nothing where quiet is asked for."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from rich.console import Console

from archspec.cli import main
from archspec.train import display
from archspec.train.display import Display


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(display.time, "monotonic", found)
    return found


def shown(
    clock: Clock,
    *,
    terminal: bool = False,
    begin: int = 1,
    seconds: float = 1.0,
    quiet: bool = False,
    width: int = 150,
) -> str:
    """Three epochs of ten steps, from the step `begin` on, of which each takes so long."""
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=terminal,
        width=width,
        highlight=False,
        quiet=quiet,
        color_system=None,
    )
    watch = Display(console=console)
    watch.progress.get_time = clock
    with watch:
        for step in range(begin, 31):
            clock.now += seconds
            watch({"kind": "step", "step": step, "end": 30})
            if step % 5 == 0:
                figures: Any = {
                    "losses": {"main": 1.5, "loss": 2.5},
                    "samples_per_second": 1234.0,
                    "waiting": 0.25,
                }
                watch({"kind": "train", "step": step, "end": 30, "epoch": step / 10, **figures})
            if step % 10 == 0:
                watch(
                    {
                        "kind": "validation",
                        "epoch": step / 10,
                        "loss": 0.5,
                        "top1": 0.75,
                        "top5": 1.0,
                    }
                )
            if terminal:
                watch.progress.refresh()
    return out.getvalue()


def test_plain_lines_say_how_far_how_fast_and_how_long_still(clock: Clock) -> None:
    lines = shown(clock).splitlines()
    figures = "loss 2.5000  1,234 samples/s  data 25%, compute 75%"
    assert lines[:4] == [
        f"step 5/30  epoch 0.5/3  {figures}  0:00:25 left",
        f"step 10/30  epoch 1.0/3  {figures}  0:00:20 left",
        "epoch 1  validation: loss 0.5000  top-1 75.00%  top-5 100.00%",
        f"step 20/30  epoch 2.0/3  {figures}  0:00:10 left",
    ]


def test_lines_come_each_epoch_and_no_oftener_than_every_ten_seconds(clock: Clock) -> None:
    assert [line.split()[1] for line in shown(clock).splitlines() if line.startswith("step")] == [
        "5/30", "10/30", "20/30", "30/30",
    ]  # fmt: skip
    assert (
        len([line for line in shown(clock, seconds=10).splitlines() if line.startswith("step")])
        == 6
    )


def test_the_steps_of_before_are_not_counted_as_speed(clock: Clock) -> None:
    assert "0:00:10 left" in shown(clock, begin=16, seconds=1)
    assert "0:16:40 left" in shown(
        clock, begin=16, seconds=100
    )  # slower than what most would average over


def test_a_terminal_has_a_bar_that_moves_with_each_step(clock: Clock) -> None:
    out = shown(clock, terminal=True)
    assert all(f"{step}/30" in out for step in range(1, 31))
    assert "epoch 0.5/3  loss 2.5000  1,234 samples/s  data 25%" in out
    assert "validation: loss 0.5000" in out
    assert "step 5/30" not in out


def test_a_narrow_terminal_has_all_figures(clock: Clock) -> None:
    assert "10/30 epoch 1.0/3  loss 2.5000  1,234 samples/s  data 25% 0:00:20" in shown(
        clock, terminal=True, width=72
    )


def test_quiet_says_nothing(clock: Clock) -> None:
    assert shown(clock, quiet=True) == ""


def test_what_draws_it_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "archspec.train.display")
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main(["train", "lenet5", "--data", "digits"]) == 3
    error = capsys.readouterr().err
    assert "rich, which is not installed\n  help: pip install 'archspec-nn[train]'" in error


def test_what_cannot_be_read_is_said_once_and_counted() -> None:
    out = io.StringIO()
    with Display(console=Console(file=out, width=80)) as watch:
        for _ in range(3):
            for number in range(12):
                watch({"kind": "bad", "name": f"{number}\x1b.png", "validation": number > 0})
    lines = out.getvalue().splitlines()
    assert len(lines) == display.MAX_NAMED_BAD + 1
    assert lines[0] == "cannot read 0\\x1b.png; another takes its place"
    assert lines[1] == "cannot read 1\\x1b.png; it is left out"
    assert lines[-1] == "12 samples could not be read"
