"""`archspec eval`: how good trained runs are, each by itself and together."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archspec.train.evaluation import Evaluation
    from archspec.train.scores import Scores

HELP = "score trained runs on what was held out, alone and as an ensemble"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folders that `archspec train` wrote")
    parser.add_argument("--data", metavar="DATA", help="in place of what the runs were trained on")
    parser.add_argument("--held-out", type=float, metavar="SHARE", help="of data without a part for it")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="samples at a time (default: 64)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that prepare data (default: 0)")
    parser.add_argument("--classes", action="store_true", help="a line for each class too")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="for people, or data")
    parser.add_argument("--quiet", action="store_true", help="no remarks")


def run(options: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    from archspec.diagnostics import Failure
    from archspec.train.evaluation import evaluate

    if options.batch < 1 or options.workers < 0:
        raise Failure("--batch is at least 1, --workers at least 0", exit_code=2)
    folders = list(dict.fromkeys(Path(name) for name in options.runs))
    found = evaluate(folders, options.data, options.held_out, options.batch, options.workers)
    if options.format == "json":
        print(json.dumps(_facts(found), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_table(found, options.classes)))
    return 0


def _facts(found: Evaluation) -> dict[str, Any]:
    return {
        "classes": list(found.classes),
        "runs": {name: scores.summary() for name, scores in found.each.items()},
        "together": {**found.together.summary(), "confusion": found.together.confusion.tolist()},
        "samples": found.together.count,
    }


def _table(found: Evaluation, classes: bool) -> list[str]:
    from archspec.render import visible

    rows = [*found.each.items()]
    if len(rows) > 1:
        rows.append((f"all {len(rows)} together", found.together))
    width = max(len(visible(name)) for name, _ in rows)
    lines = [f"{'run'.ljust(width)}  {'top-1':>7}  {'top-5':>7}  {'loss':>8}"]
    for name, scores in rows:
        lines.append(f"{visible(name).ljust(width)}  {scores.top1:>7.2%}  {scores.top5:>7.2%}  {scores.loss:>8.4f}")
    lines.append(f"{found.together.count} samples that were held out")
    return [*lines, *(_by_class(found.together, found.classes) if classes else [])]


def _by_class(scores: Scores, classes: tuple[str, ...]) -> list[str]:
    """For each class: how many there are, how many of them are found, and what they are taken for instead."""
    from archspec.render import visible

    width = max(len("class"), *(len(visible(name)) for name in classes))
    lines = ["", f"{'class'.ljust(width)}  {'samples':>7}  {'found':>7}  taken for most often"]
    for index, name in enumerate(classes):
        row = scores.confusion[index].copy()
        count, hits = int(row.sum()), int(row[index])
        row[index] = 0
        other = f"{visible(classes[int(row.argmax())])} ({int(row.max())})" if row.max() else ""
        share = f"{hits / count:.2%}" if count else "-"
        lines.append(f"{visible(name).ljust(width)}  {count:>7}  {share:>7}  {other}".rstrip())
    return lines
