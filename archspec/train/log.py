"""The metrics of a run: a line of JSON each, an event file for TensorBoard, a table at the end."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from archspec._files import write_text
from archspec.diagnostics import Failure, quote, reason, writing
from archspec.train.tensorboard import EventFile

METRICS_FILE, TABLE_FILE = "metrics.jsonl", "metrics.csv"


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
    """Return the lines of a run's log in order; a line that was cut off is skipped."""
    try:
        text = (run / METRICS_FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Failure(f"cannot read {quote(run / METRICS_FILE)}: {reason(error)}") from error
    lines = [_parse(line) for line in text.splitlines()]
    return [
        line
        for line in lines
        if isinstance(line.get("step"), int) and isinstance(line.get("kind"), str)
    ]


def _parse(text: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


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
