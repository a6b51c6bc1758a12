"""Evaluations as tables: the scores of runs and of classes, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.analysis.tables import Cell, Column, Table, number_columns
from archspec.train.evaluation import Evaluation
from archspec.train.scores import Scores

MAX_CONFUSION_CLASSES = 20
"""The most classes whose confusion matrix fits a terminal."""


def score_table(evaluations: Sequence[Evaluation]) -> Table:
    """Return a row per run and number of crops, and one for each ensemble, as papers have it.

    The cost is models times crops. "vs. first row" is the difference in top-5 error.
    """
    columns = (
        *number_columns("models", "crops", "cost", "samples"),
        Column("top-1 error", "percent"),
        Column("top-5 error", "percent"),
        Column("vs. first row", "difference"),
        Column("loss", "decimal"),
        Column("run"),
    )
    rows: list[tuple[Cell, ...]] = []
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
    return Table(columns, tuple(rows))


def class_table(scores: Scores, names: Sequence[str]) -> Table:
    """Return a row per class: its samples, recall, precision, and what it is confused with most."""
    columns = (
        Column("class"),
        Column("samples", "number"),
        Column("recall", "percent"),
        Column("precision", "percent"),
        Column("confused with"),
        Column("times", "number"),
    )
    rows: list[tuple[Cell, ...]] = []
    for index, name in enumerate(names):
        result = scores.for_class(index)
        other = result.confused_with
        confused: tuple[Cell, Cell] = (None, None)
        if other is not None:
            confused = (names[other], int(scores.confusion[index, other]))
        rows.append((name, result.samples, result.recall, result.precision, *confused))
    return Table(columns, tuple(rows))


def confusion_table(scores: Scores, names: Sequence[str]) -> Table:
    """Return a row per true class and a column per predicted class."""
    counts: list[list[int]] = scores.confusion.tolist()
    rows = tuple((name, *row) for name, row in zip(names, counts, strict=True))
    return Table((Column("true \\ predicted"), *number_columns(*names)), rows)
