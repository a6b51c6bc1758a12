"""A run on the terminal: a bar that moves on a terminal, a line an epoch where output is piped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from archspec.render import visible

SHOWN_BAD = 10


class Display:
    """Watches a run."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, console=self.console, disable=not self.console.is_terminal, transient=True)
        self.task: Any = None
        self.bad = 0

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.progress.stop()
        if self.bad > SHOWN_BAD:
            self.say(f"{self.bad} samples could not be read")

    def say(self, text: str) -> None:
        self.console.print(visible(text), markup=False, soft_wrap=True)

    def __call__(self, event: Mapping[str, Any]) -> None:
        match event["kind"]:
            case "train":
                self._trained(event)
            case "held_out":
                figures = f"loss {event['loss']:.4f}  top-1 {event['top1']:.2%}  top-5 {event['top5']:.2%}"
                self.say(f"epoch {event['epoch']:g}  held out: {figures}")
            case _:
                self.bad += 1
                if self.bad <= SHOWN_BAD:
                    self.say(f"cannot read {event['name']}; another takes its place")

    def _trained(self, event: Mapping[str, Any]) -> None:
        speed = f"{event['samples_per_second']:,.0f} samples/s, {event['waiting']:.0%} waiting for data"
        text = f"epoch {event['epoch']:.1f}  loss {event['losses']['loss']:.4f}  {speed}"
        if self.task is None:
            self.task = self.progress.add_task(text, total=event["end"])
        self.progress.update(self.task, completed=event["step"], description=text)
