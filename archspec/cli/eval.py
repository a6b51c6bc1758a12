"""`archspec eval`: score trained runs, each alone and as an ensemble."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from archspec.cli.common import add_trust_argument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archspec.analysis.tables import Table
    from archspec.train.data import SplitData
    from archspec.train.evaluation import Evaluation
    from archspec.train.scores import Scores
    from archspec.train.trained_run import TrainedRun

MAX_NAMED_BAD = 10
"""The most unreadable samples that are named."""
HELP = "score trained runs on validation data, alone and as an ensemble"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folders that `archspec train` wrote"
    )
    parser.add_argument(
        "--best", action="store_true", help="the weights of each run's best epoch, not its last"
    )
    parser.add_argument("--data", metavar="DATA", help="score on these, not on the runs' own data")
    parser.add_argument(
        "--val-split", type=float, metavar="SHARE", help="score on this share of --data, not on all"
    )
    parser.add_argument(
        "--crops",
        default="1",
        metavar="N,...",
        help="crops of each image: 1, 10, 144, or several of them (default: 1)",
    )
    parser.add_argument(
        "--device", metavar="NAME", help="where to compute, such as cuda:1 (default: the best)"
    )
    parser.add_argument(
        "--batch", type=int, default=64, metavar="N", help="samples at a time (default: 64)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes that prepare data (default: 0)",
    )
    parser.add_argument(
        "--bad-data",
        choices=("error", "skip"),
        default="error",
        help="what to do with a sample that cannot be read",
    )
    add_trust_argument(parser)
    _add_output_arguments(parser)


def _add_output_arguments(parser: argparse.ArgumentParser) -> None:
    details = parser.add_mutually_exclusive_group()
    details.add_argument("--classes", action="store_true", help="show the scores of each class")
    details.add_argument("--confusion", action="store_true", help="show the confusion matrix")
    parser.add_argument(
        "--format",
        choices=("table", "json", "csv"),
        default="table",
        help="for people, or data; csv is one table",
    )
    parser.add_argument("--quiet", action="store_true", help="no remarks and no progress")


def execute(options: argparse.Namespace) -> int:
    from archspec.cli.common import note_builtin_data
    from archspec.diagnostics import UsageError
    from archspec.train.data.workers import check_workers
    from archspec.train.holdout import evaluation_data

    if options.batch < 1:
        raise UsageError("--batch is at least 1")
    check_workers(options.workers)
    crop_counts = _parse_crops(options.crops)
    runs = _open_runs(options)
    if options.data:
        note_builtin_data(options.data, options)
    data = evaluation_data(runs, options.data, options.val_split)
    evaluations = _evaluate(runs, data, crop_counts, options)
    _note_bad(evaluations, options)
    _print_evaluations(evaluations, runs, data, options)
    return 0


def _parse_crops(text: str) -> list[int]:
    from archspec.diagnostics import UsageError
    from archspec.train.data import CROP_COUNTS

    counts = {str(count): count for count in (1, *CROP_COUNTS)}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in counts:
            raise UsageError(f"--crops takes {', '.join(counts)}, found {name}")
    return [counts[name] for name in dict.fromkeys(names)]


def _open_runs(options: argparse.Namespace) -> list[TrainedRun]:
    from pathlib import Path

    from archspec.cli.common import print_note
    from archspec.train.trained_run import TrainedRun

    def on_note(text: str) -> None:
        print_note(text, options)

    runs = [
        TrainedRun.open(
            folder,
            best=options.best,
            device=options.device,
            trust=options.trust,
            on_note=on_note,
        )
        for folder in dict.fromkeys(map(Path, options.runs))
    ]
    devices = dict.fromkeys(run.trainer.device for run in runs)
    print_note(f"note: on {', '.join(devices)}", options)
    return runs


def _evaluate(
    runs: Sequence[TrainedRun],
    data: SplitData,
    crop_counts: Sequence[int],
    options: argparse.Namespace,
) -> list[Evaluation]:
    from archspec.cli.common import print_note, progress
    from archspec.train.data.bad_samples import naming_remedies
    from archspec.train.data.multi_crop import note_on_crops
    from archspec.train.evaluation import evaluate

    if any(crops > 1 for crops in crop_counts):
        notes = (note_on_crops(run.preprocess, run.input[-1]) for run in runs)
        for note in dict.fromkeys(filter(None, notes)):
            print_note(note, options)
    skip = "`--bad-data skip` scores without it"
    with progress(options.quiet) as on_progress, naming_remedies(data.name, skip):
        return [
            evaluate(
                runs,
                data,
                crops=crops,
                batch=options.batch,
                workers=options.workers,
                bad_data=options.bad_data,
                on_progress=on_progress,
            )
            for crops in crop_counts
        ]


def _bad(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return the unreadable samples; some crops can be made of an image and others not."""
    return list(dict.fromkeys(name for evaluation in evaluations for name in evaluation.bad))


def _note_bad(evaluations: Sequence[Evaluation], options: argparse.Namespace) -> None:
    from archspec.cli.common import print_note
    from archspec.diagnostics.render import visible

    bad = _bad(evaluations)
    for name in bad[:MAX_NAMED_BAD]:
        print_note(f"cannot read {visible(name)}; it is left out", options)
    if len(bad) > MAX_NAMED_BAD:
        print_note(f"{len(bad)} samples could not be read", options)


def _print_evaluations(
    evaluations: Sequence[Evaluation],
    runs: Sequence[TrainedRun],
    data: SplitData,
    options: argparse.Namespace,
) -> None:
    import json

    from archspec.analysis.tables import csv
    from archspec.train import tables

    if options.format == "json":
        values = [_evaluation_json(evaluation, runs) for evaluation in evaluations]
        print(json.dumps(values, indent=2))
    elif options.format == "csv":
        table = _details_table(evaluations[-1], options) or tables.score_table(evaluations)
        print(csv(table), end="")
    else:
        print("\n".join(_text_lines(evaluations, data, options)))


def _details_table(evaluation: Evaluation, options: argparse.Namespace) -> Table | None:
    """Return the table of classes or the confusion matrix of the ensemble, if asked for."""
    from archspec.train import tables

    if options.confusion:
        return tables.confusion_table(evaluation.ensemble, evaluation.classes)
    if options.classes:
        return tables.class_table(evaluation.ensemble, evaluation.classes)
    return None


def _text_lines(
    evaluations: Sequence[Evaluation], data: SplitData, options: argparse.Namespace
) -> list[str]:
    from archspec.analysis.tables import text
    from archspec.diagnostics import quote
    from archspec.train import tables

    unreadable = len(_bad(evaluations))
    count = len(data.validation)
    samples = f"{count} validation samples"
    if data.val_split == 1:
        samples = f"{count} samples of {quote(data.name)}"
    if unreadable:
        samples += f", {unreadable} unreadable"
    lines = [text(tables.score_table(evaluations)), samples]
    # Of several crop counts, the details are of the one named last.
    last = evaluations[-1]
    if options.confusion and len(last.classes) > tables.MAX_CONFUSION_CLASSES:
        count = len(last.classes)
        return [*lines, "", f"{count} classes are too many to show here: use --format csv or json"]
    details = _details_table(last, options)
    return [*lines, "", text(details)] if details else lines


def _evaluation_json(evaluation: Evaluation, runs: Sequence[TrainedRun]) -> dict[str, Any]:
    return {
        "crops": evaluation.crops,
        "classes": list(evaluation.classes),
        "devices": {str(run.folder): run.trainer.device for run in runs},
        "runs": {name: _scores_json(scores) for name, scores in evaluation.runs.items()},
        "ensemble": _scores_json(evaluation.ensemble),
        "samples": evaluation.ensemble.count,
        "bad": list(evaluation.bad),
    }


def _scores_json(scores: Scores) -> dict[str, Any]:
    """Return the figures, overall and by class; the confusion matrix has a row per true class."""
    classes = [scores.for_class(index) for index in range(scores.classes)]
    return {
        **scores.summary(),
        "recall": [result.recall for result in classes],
        "precision": [result.precision for result in classes],
        "confusion": scores.confusion.tolist(),
    }
