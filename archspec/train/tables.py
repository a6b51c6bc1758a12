"""Evaluations as tables: the scores of runs, those of classes, and which class is taken for which.

>>> print(text([("class", "samples", "recall"), ("cat", 8, 0.75), ("dog", 12, None)]))
class  samples  recall
cat          8  75.00%
dog         12       -
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TypeAlias

from archspec.diagnostics.render import visible, width
from archspec.train.evaluation import Evaluation
from archspec.train.scores import Scores

Row: TypeAlias = tuple[str | int | float | None, ...]
Rows: TypeAlias = Sequence[Row]
"""The first has the names of the columns."""

WIDE = 20
"""Classes whose confusion a terminal can show."""


def scores(found: Sequence[Evaluation]) -> Rows:
    """As papers have it: models, crops, what that costs, the errors, and the top-5 error less that of the first row."""
    columns = (
        "models",
        "crops",
        "cost",
        "samples",
        "top-1 error",
        "top-5 error",
        "to base",
        "loss",
        "run",
    )
    rows: list[Row] = [columns]
    base: float | None = None
    for one in found:
        alone = [(1, name, own) for name, own in one.each.items()]
        for models, name, own in [
            *alone,
            *([(len(alone), "together", one.together)] if len(alone) > 1 else []),
        ]:
            error = 1 - own.top5
            more = None if base is None else error - base
            base = error if base is None else base
            cost = models * one.crops
            rows.append(
                (models, one.crops, cost, own.count, 1 - own.top1, error, more, own.loss, name)
            )
    return rows


def classes(found: Scores, names: Sequence[str]) -> Rows:
    """For each class: how many there are, how many of them are found, and what they are taken for instead."""
    rows: list[Row] = [("class", "samples", "recall", "precision", "taken for", "times")]
    for index, name in enumerate(names):
        own = found.of_class(index)
        other = (
            None
            if own.mistaken is None
            else (names[own.mistaken], int(found.confusion[index, own.mistaken]))
        )
        rows.append((name, own.samples, own.recall, own.precision, *(other or (None, None))))
    return rows


def confusion(found: Scores, names: Sequence[str]) -> Rows:
    """A row for each true class, a column for each that was taken."""
    counts: list[list[int]] = found.confusion.tolist()
    return [
        ("true \\ taken", *names),
        *((name, *row) for name, row in zip(names, counts, strict=True)),
    ]


FORMATS = {
    "loss": ".4f",
    "recall": ".2%",
    "precision": ".2%",
    "top-1 error": ".2%",
    "top-5 error": ".2%",
    "to base": "+.2%",
}


def text(rows: Rows) -> str:
    """For people: numbers to the right, words to the left, nothing as a dash."""
    header = [str(name) for name in rows[0]]
    cells = [
        [_cell(value, FORMATS.get(name, "")) for name, value in zip(header, row, strict=True)]
        for row in rows[1:]
    ]
    words = [any(isinstance(row[at], str) for row in rows[1:]) for at in range(len(header))]
    shown = [[visible(name) for name in header], *cells]
    widths = [max(width(row[at]) for row in shown) for at in range(len(header))]
    return "\n".join("  ".join(map(_aligned, row, widths, words)).rstrip() for row in shown)


def _cell(value: str | float | None, form: str) -> str:
    return (
        "-" if value is None else visible(value) if isinstance(value, str) else format(value, form)
    )


def _aligned(cell: str, columns: int, words: bool) -> str:
    space = " " * (columns - width(cell))
    return cell + space if words else space + cell


def as_csv(rows: Rows) -> str:
    """For programs: shares between 0 and 1, and nothing as nothing."""
    found = io.StringIO()
    cells = ([visible(value) if isinstance(value, str) else value for value in row] for row in rows)
    csv.writer(found, lineterminator="\n").writerows(cells)
    return found.getvalue()
