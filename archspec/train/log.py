"""What a run records as it goes: a line of JSON for each report, beside it for TensorBoard, at the end as a table."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from archspec.diagnostics import Failure, quote, reason, writing
from archspec.train.tensorboard import Events

LINES, TABLE = "metrics.jsonl", "metrics.csv"


class Log:
    """Appends reports to `metrics.jsonl` and to a file of events; those of what is done again are dropped.

    That is what came after `step`; and its scores, where it is `unscored` and they were not saved.
    """

    def __init__(self, run: Path, step: int, unscored: bool = False) -> None:
        self.path = run / LINES
        again = (step, "held_out") if unscored else None
        kept = [
            line
            for line in read_log(run)
            if line["step"] <= step and (line["step"], line["kind"]) != again
        ]
        _replace(self.path, "".join(_line(line) for line in kept))
        with writing(run):
            self.events = Events(run, map(_tagged, kept))

    def add(self, step: int, kind: str, **values: Any) -> None:
        """A report after so many steps; raises `Failure` where it cannot be written."""
        line = {"step": step, "kind": kind, "time": time.time(), **values}
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(_line(line))
        with writing(self.events.path):
            self.events.add(_tagged(line))


def write_table(run: Path) -> None:
    """Writes `metrics.csv`: a row a report, a column for each figure."""
    lines = [_flat(line) for line in read_log(run)]
    columns = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    _replace(run / TABLE, text.getvalue())


def read_log(run: Path) -> list[dict[str, Any]]:
    """The reports of a run in order; a line that was cut off is none."""
    found: list[dict[str, Any]] = []
    try:
        text = (run / LINES).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Failure(f"cannot read {quote(run / LINES)}: {reason(error)}") from error
    for line in text.splitlines():
        try:
            value: Any = json.loads(line)
        except ValueError:
            continue
        report = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if isinstance(report.get("step"), int) and isinstance(report.get("kind"), str):
            found.append(report)
    return found


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= {
                f"{name}.{key}": inner for key, inner in cast("dict[str, Any]", value).items()
            }
        else:
            found[name] = value
    return found


def _tagged(line: Mapping[str, Any]) -> dict[str, float]:
    """Its figures, called as TensorBoard groups them: `train/losses/main`."""
    flat = _flat(line)
    found = {"step": flat.pop("step"), "time": flat.pop("time", 0.0)}
    kind = flat.pop("kind")
    for name, value in flat.items():
        if isinstance(value, int | float):
            found[f"{kind}/{name.replace('.', '/')}"] = value
    return found


def _replace(path: Path, text: str) -> None:
    staging = path.with_name(f".{path.name}")
    with writing(path):
        staging.write_text(text, encoding="utf-8")
        staging.replace(path)
