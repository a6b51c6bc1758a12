"""Evaluations as tables: the scores of runs and of classes, and the confusion matrix.

>>> print(as_text([("class", "samples", "recall"), ("cat", 8, 0.75), ("dog", 12, None)]))
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
"""A table; its first row holds the column names."""

MAX_CONFUSION_CLASSES = 20
"""The most classes whose confusion matrix fits a terminal."""


def score_table(evaluations: Sequence[Evaluation]) -> Rows:
    """Return a row per run and number of crops, and one for each ensemble, as papers have it.

    The cost is models times crops. "vs. first row" is the difference in top-5 error.
    """
    columns = (
        "models",
        "crops",
        "cost",
        "samples",
        "top-1 error",
        "top-5 error",
        "vs. first row",
        "loss",
        "run",
    )
    rows: list[Row] = [columns]
    first_error: float | None = None
    for evaluation in evaluations:
        entries = [(1, name, scores) for name, scores in evaluation.runs.items()]
        if len(entries) > 1:
            entries.append((len(entries), "ensemble", evaluation.ensemble))
        crops = evaluation.crops
        for models, name, scores in entries:
            error = 1 - scores.top5
            difference = None if first_error is None else error - first_error
            first_error = error if first_error is None else first_error
            rows.append(
                (
                    models,
                    crops,
                    models * crops,
                    scores.count,
                    1 - scores.top1,
                    error,
                    difference,
                    scores.loss,
                    name,
                )
            )
    return rows


def class_table(scores: Scores, names: Sequence[str]) -> Rows:
    """Return a row per class: its samples, recall, precision, and what it is confused with most."""
    rows: list[Row] = [("class", "samples", "recall", "precision", "confused with", "times")]
    for index, name in enumerate(names):
        result = scores.for_class(index)
        other = result.confused_with
        confused: Row = (None, None)
        if other is not None:
            confused = (names[other], int(scores.confusion[index, other]))
        rows.append((name, result.samples, result.recall, result.precision, *confused))
    return rows


def confusion_table(scores: Scores, names: Sequence[str]) -> Rows:
    """Return a row per true class and a column per predicted class."""
    counts: list[list[int]] = scores.confusion.tolist()
    rows = ((name, *row) for name, row in zip(names, counts, strict=True))
    return [("true \\ predicted", *names), *rows]


FORMATS = {
    "loss": ".4f",
    "recall": ".2%",
    "precision": ".2%",
    "top-1 error": ".2%",
    "top-5 error": ".2%",
    "vs. first row": "+.2%",
}


def as_text(rows: Rows) -> str:
    """Return a table for people: numbers to the right, words to the left, None as a dash."""
    header = [str(name) for name in rows[0]]
    formats = [FORMATS.get(name, "") for name in header]
    cells = [list(map(_cell, row, formats)) for row in rows[1:]]
    columns = list(zip(*rows[1:], strict=True)) or [()] * len(header)
    has_words = [any(isinstance(value, str) for value in column) for column in columns]
    lines = [[visible(name) for name in header], *cells]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(_aligned, line, widths, has_words)).rstrip() for line in lines)


def _cell(value: str | float | None, form: str) -> str:
    if value is None:
        return "-"
    return visible(value) if isinstance(value, str) else format(value, form)


def _aligned(cell: str, columns: int, to_left: bool) -> str:
    padding = " " * (columns - width(cell))
    return cell + padding if to_left else padding + cell


def as_csv(rows: Rows) -> str:
    """Return a table for programs: shares between 0 and 1, None as an empty cell."""
    text = io.StringIO()
    cells = ([visible(value) if isinstance(value, str) else value for value in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows(cells)
    return text.getvalue()
