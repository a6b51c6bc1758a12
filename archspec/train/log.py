"""What a run records as it goes: a line of JSON for each report, and the same as a table at the end."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from archspec.diagnostics import Failure, quote

LINES, TABLE = "metrics.jsonl", "metrics.csv"


class Log:
    """Appends reports to `metrics.jsonl`; those of steps that a run takes again are dropped first."""

    def __init__(self, run: Path, step: int) -> None:
        self.run, self.path = run, run / LINES
        kept = [line for line in read_log(run) if line["step"] <= step]
        _replace(self.path, "".join(_line(line) for line in kept))

    def add(self, step: int, kind: str, **values: Any) -> None:
        """A report after so many steps; raises `Failure` where it cannot be written."""
        with _writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(_line({"step": step, "kind": kind, **values}))

    def table(self) -> None:
        """Writes `metrics.csv`: a row a report, a column for each figure."""
        lines = [_flat(line) for line in read_log(self.run)]
        columns = list(dict.fromkeys(name for line in lines for name in line))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        _replace(self.run / TABLE, text.getvalue())


def read_log(run: Path) -> list[dict[str, Any]]:
    """The reports of a run in order; a line that was cut off is none."""
    found: list[dict[str, Any]] = []
    try:
        text = (run / LINES).read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            value: Any = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(cast("dict[str, Any]", value).get("step"), int):
            found.append(cast("dict[str, Any]", value))
    return found


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= {f"{name}.{key}": inner for key, inner in cast("dict[str, Any]", value).items()}
        else:
            found[name] = value
    return found


def _replace(path: Path, text: str) -> None:
    staging = path.with_name(f".{path.name}")
    with _writing(path):
        staging.write_text(text, encoding="utf-8")
        staging.replace(path)


@contextmanager
def _writing(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise Failure(f"cannot write {quote(path)}: {(error.strerror or str(error)).lower()}") from error
