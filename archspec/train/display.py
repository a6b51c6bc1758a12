"""A run on the terminal: a progress bar there, plain lines where output is piped."""

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

MAX_NAMED_BAD = 10
"""The most unreadable samples that are named."""
REFRESHES_PER_SECOND = 4
"""Drawing the bar takes half a millisecond."""
SECONDS_BETWEEN_LINES = 10.0
"""Seconds between two lines of one epoch."""
SPEED_WINDOW = 300.0
"""Seconds whose mean speed gives the time left: steps may be slow, with evaluation in between."""


class Display:
    """Shows the events of a run; call it with each."""

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, quiet=quiet, highlight=False)
        self.has_bar = self.console.is_terminal and not self.console.is_dumb_terminal
        # On a narrow terminal the bar shrinks, and no figure is cut.
        uncut = Column(no_wrap=True)
        columns = (
            BarColumn(None),
            MofNCompleteColumn(table_column=uncut),
            TextColumn("{task.description}"),
            TimeRemainingColumn(table_column=uncut),
        )
        self.progress = Progress(
            *columns,
            console=self.console,
            expand=True,
            disable=not self.has_bar,
            transient=True,
            refresh_per_second=REFRESHES_PER_SECOND,
            speed_estimate_period=SPEED_WINDOW,
        )
        self.task: TaskID | None = None
        self.moved_at = 0.0
        self.printed_at = 0.0
        self.printed_epoch = -1
        self.bad: set[str] = set()
        self.left_out = 0

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.progress.stop()
        if len(self.bad) > MAX_NAMED_BAD:
            self.print(f"{len(self.bad)} samples could not be read")
        if self.left_out > MAX_NAMED_BAD:
            self.print(f"{self.left_out} steps were left out")

    def print(self, text: str) -> None:
        """Print lines above the bar."""
        for line in text.splitlines():
            self.console.print(visible(line), markup=False, soft_wrap=True)

    def __call__(self, event: Mapping[str, Any]) -> None:
        match event["kind"]:
            case "step":
                self._move_bar(event)
            case "train":
                self._show_training(event)
            case "validation":
                figures = (
                    f"loss {event['loss']:.4f}  "
                    f"top-1 {event['top1']:.2%}  top-5 {event['top5']:.2%}"
                )
                self.print(f"epoch {event['epoch']:g}  validation: {figures}")
            case "left_out":
                self.left_out += 1
                if self.left_out <= MAX_NAMED_BAD:
                    self.print(f"step {event['step']} is left out: none of its samples can be read")
            case _:
                self._show_unreadable(event["name"], event["validation"])

    def _move_bar(self, event: Mapping[str, Any], text: str | None = None) -> None:
        now = time.monotonic()
        if self.task is None:
            self.task = self.progress.add_task("", total=event["end"], completed=event["step"])
        is_due = now - self.moved_at >= 1 / REFRESHES_PER_SECOND
        if text is not None or is_due or event["step"] == event["end"]:
            self.moved_at = now
            self.progress.update(self.task, completed=event["step"], description=text)

    def _show_training(self, event: Mapping[str, Any]) -> None:
        epochs = event["end"] / event["step"] * event["epoch"]
        waiting = event["waiting"]
        text = (
            f"epoch {event['epoch']:.1f}/{epochs:.0f}  loss {event['losses']['loss']:.4f}  "
            f"{event['samples_per_second']:,.0f} samples/s  data {waiting:.0%}"
        )
        self._move_bar(event, text)
        if not self.has_bar:
            self._print_line(event, f"{text}, compute {1 - waiting:.0%}")

    def _print_line(self, event: Mapping[str, Any], text: str) -> None:
        """Print the first report of an epoch, then one at most every ten seconds."""
        now = time.monotonic()
        epoch = int(event["epoch"])
        if epoch == self.printed_epoch and now - self.printed_at < SECONDS_BETWEEN_LINES:
            return
        self.printed_at = now
        self.printed_epoch = epoch
        assert self.task is not None
        left = self.progress.tasks[self.task].time_remaining
        time_left = f"  {timedelta(seconds=int(left))} left" if left else ""
        self.print(f"step {event['step']}/{event['end']}  {text}{time_left}")

    def _show_unreadable(self, name: str, validation: bool) -> None:
        if name not in self.bad and len(self.bad) < MAX_NAMED_BAD:
            outcome = "it is left out" if validation else "another takes its place"
            self.print(f"cannot read {name}; {outcome}")
        self.bad.add(name)
