"""The metrics of a run: a line of JSON each, an event file for TensorBoard, a table at the end."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import ConfigDict, Field

from archspec._files import read_bytes, write_text
from archspec._json import JsonError, Record, convert, parse_plain
from archspec.diagnostics import Failure, quote, reason, writing
from archspec.ir.types import Natural
from archspec.train.tensorboard import EventFile

METRICS_FILE, TABLE_FILE = "metrics.jsonl", "metrics.csv"
MAX_FLOAT32 = 3.4028234e38
Figure = Annotated[float, Field(ge=-MAX_FLOAT32, le=MAX_FLOAT32)]
"""A number as TensorBoard keeps it."""


class _Line(Record):
    """A line of `metrics.jsonl`; `kind` says which figures it has."""

    model_config = ConfigDict(extra="allow")
    # This is how pydantic is told the types of further keys.
    __pydantic_extra__: dict[str, Figure | str | dict[str, Figure] | None]  # pyright: ignore

    step: Natural
    kind: str
    epoch: Figure = 0.0
    learning_rate: Figure = 0.0
    losses: dict[str, Figure] = Field(default_factory=dict[str, float])
    loss: Figure = 0.0
    top1: Figure = 0.0
    top5: Figure = 0.0


class MetricsLog:
    """Appends lines to `metrics.jsonl` and to an event file.

    A resumed run starts from `step`: lines after it are dropped. With `lacks_scores` its validation
    line is dropped too, as the scores will be computed again.
    """

    def __init__(self, run: Path, step: int, lacks_scores: bool = False) -> None:
        self.path = run / METRICS_FILE
        repeated = (step, "validation") if lacks_scores else None
        lines = [
            line
            for line in read_metrics(run)
            if line["step"] <= step and (line["step"], line["kind"]) != repeated
        ]
        _replace(self.path, "".join(map(_json_line, lines)))
        with writing(run):
            self.events = EventFile(run, map(_tagged, lines))

    def add(self, step: int, kind: str, **values: Any) -> None:
        """Append a line of the given kind after `step`; raise `Failure` if it cannot be written."""
        line = {"step": step, "kind": kind, "time": time.time(), **values}
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(_json_line(line))
        with writing(self.events.path):
            self.events.add(_tagged(line))


def write_table(run: Path) -> None:
    """Write `metrics.csv`: a row per line of the log, a column per figure."""
    rows = [_flatten(line) for line in read_metrics(run)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _replace(run / TABLE_FILE, text.getvalue())


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log in order; a line that is damaged is skipped."""
    try:
        content = read_bytes(run / METRICS_FILE)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Failure(f"cannot read {quote(run / METRICS_FILE)}: {reason(error)}") from error
    return [line for text in content.split(b"\n") if (line := _parse(text)) is not None]


def _parse(text: bytes) -> dict[str, Any] | None:
    """Return a line, or None if it was cut off, or if its figures are no numbers."""
    try:
        line = parse_plain(text.decode("utf-8", "replace"))
        convert(line, _Line)
    except JsonError:
        return None
    return line


def _json_line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"


def _flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            flat |= {f"{name}.{key}": figure for key, figure in inner.items()}
        else:
            flat[name] = value
    return flat


def _tagged(line: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures under the tags that TensorBoard groups by, as in `train/losses/main`."""
    flat = _flatten(line)
    figures = {"step": flat.pop("step"), "time": flat.pop("time", 0.0)}
    kind = flat.pop("kind")
    for name, value in flat.items():
        if isinstance(value, int | float):
            figures[f"{kind}/{name.replace('.', '/')}"] = value
    return figures


def _replace(path: Path, text: str) -> None:
    with writing(path):
        write_text(path, text)
