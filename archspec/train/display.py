"""A run on the terminal: a bar that moves with each step there, plain lines where output is piped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from archspec.diagnostics.render import visible

SHOWN_BAD = 10
MOVES = 4
"""How often the bar moves in a second; drawing it takes half a millisecond."""
BETWEEN_LINES = 10.0
"""Seconds between two lines of one epoch."""
SPEED_OVER = 300.0
"""The seconds whose mean speed says how long the rest will take: steps may be slow, and evaluation lies between."""


class Display:
    """Watches a run."""

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, quiet=quiet, highlight=False)
        self.moves = self.console.is_terminal and not self.console.is_dumb_terminal
        whole = Column(no_wrap=True)  # on a narrow terminal the bar gives way, and no figure
        columns = (
            BarColumn(None),
            MofNCompleteColumn(table_column=whole),
            TextColumn("{task.description}"),
            TimeRemainingColumn(table_column=whole),
        )
        self.progress = Progress(
            *columns,
            console=self.console,
            expand=True,
            disable=not self.moves,
            transient=True,
            refresh_per_second=MOVES,
            speed_estimate_period=SPEED_OVER,
        )
        self.task: TaskID | None = None
        self.moved = self.told = 0.0
        self.epoch = -1
        self.bad: set[str] = set()

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.progress.stop()
        if len(self.bad) > SHOWN_BAD:
            self.say(f"{len(self.bad)} samples could not be read")

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self.console.print(visible(line), markup=False, soft_wrap=True)

    def __call__(self, event: Mapping[str, Any]) -> None:
        match event["kind"]:
            case "step":
                self._move(event)
            case "train":
                self._report(event)
            case "held_out":
                figures = f"loss {event['loss']:.4f}  top-1 {event['top1']:.2%}  top-5 {event['top5']:.2%}"
                self.say(f"epoch {event['epoch']:g}  held out: {figures}")
            case _:
                self._miss(event["name"], event["held_out"])

    def _move(self, event: Mapping[str, Any], text: str | None = None) -> None:
        now = time.monotonic()
        if self.task is None:
            self.task = self.progress.add_task("", total=event["end"], completed=event["step"])
        if text is not None or now - self.moved >= 1 / MOVES or event["step"] == event["end"]:
            self.moved = now
            self.progress.update(self.task, completed=event["step"], description=text)

    def _report(self, event: Mapping[str, Any]) -> None:
        epochs = event["end"] / event["step"] * event["epoch"]
        share = event["waiting"]
        text = (
            f"epoch {event['epoch']:.1f}/{epochs:.0f}  loss {event['losses']['loss']:.4f}  "
            f"{event['samples_per_second']:,.0f} samples/s  data {share:.0%}"
        )
        self._move(event, text)
        if not self.moves:
            self._line(event, f"{text}, compute {1 - share:.0%}")

    def _line(self, event: Mapping[str, Any], text: str) -> None:
        """At the first report of an epoch, and where the one before is some time ago."""
        now, epoch = time.monotonic(), int(event["epoch"])
        if epoch == self.epoch and now - self.told < BETWEEN_LINES:
            return
        self.told, self.epoch = now, epoch
        assert self.task is not None
        left = self.progress.tasks[self.task].time_remaining
        ends = f"  {timedelta(seconds=int(left))} left" if left else ""
        self.say(f"step {event['step']}/{event['end']}  {text}{ends}")

    def _miss(self, name: str, held_out: bool) -> None:
        if name not in self.bad and len(self.bad) < SHOWN_BAD:
            self.say(
                f"cannot read {name}; {'it is left out' if held_out else 'another takes its place'}"
            )
        self.bad.add(name)
