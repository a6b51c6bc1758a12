"""`archspec eval`: how good trained runs are, each by itself and together."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from archspec.render import visible

if TYPE_CHECKING:
    from archspec.train.evaluation import Evaluation
    from archspec.train.scores import Scores

HELP = "score trained runs on what was held out, alone and as an ensemble"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folders that `archspec train` wrote")
    parser.add_argument("--data", metavar="DATA", help="in place of what the runs were trained on")
    parser.add_argument("--held-out", type=float, metavar="SHARE", help="of data without a part for it")
    parser.add_argument(
        "--crops", default="1", metavar="N,...", help="of each picture: 1, 10, 144, or several of them (default: 1)"
    )
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
    found = [
        evaluate(folders, options.data, options.held_out, crops=crops, batch=options.batch, workers=options.workers)
        for crops in _crops(options.crops)
    ]
    if options.format == "json":
        print(json.dumps([_facts(one) for one in found], indent=2, ensure_ascii=False))
    else:
        print("\n".join(_table(found, options.classes)))
    return 0


def _crops(text: str) -> list[int]:
    from archspec.diagnostics import Failure
    from archspec.train.data import COUNTS

    known = {str(count): count for count in (1, *COUNTS)}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise Failure(f"--crops takes {', '.join(known)}, found {name}", exit_code=2)
    return [known[name] for name in dict.fromkeys(names)]


def _facts(found: Evaluation) -> dict[str, Any]:
    return {
        "crops": found.crops,
        "classes": list(found.classes),
        "runs": {name: scores.summary() for name, scores in found.each.items()},
        "together": {**found.together.summary(), "confusion": found.together.confusion.tolist()},
        "samples": found.together.count,
    }


def _table(found: list[Evaluation], classes: bool) -> list[str]:
    """As papers have it: models, crops, what that costs, and the errors."""
    rows = [("models", "crops", "cost", "top-1 error", "top-5 error", "loss", "")]
    for one in found:
        alone = [(1, name, scores) for name, scores in one.each.items()]
        for models, name, scores in [*alone, *([(len(alone), "together", one.together)] if len(alone) > 1 else [])]:
            errors = (f"{1 - scores.top1:.2%}", f"{1 - scores.top5:.2%}", f"{scores.loss:.4f}")
            rows.append((f"{models}", f"{one.crops}", f"{models * one.crops}", *errors, visible(name)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    cells = [[cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)] + [row[-1]] for row in rows]
    lines = ["  ".join(row).rstrip() for row in cells]
    lines.append(f"{found[0].together.count} samples that were held out")
    return [*lines, *(_by_class(found[-1].together, found[-1].classes) if classes else [])]


def _by_class(scores: Scores, classes: tuple[str, ...]) -> list[str]:
    """For each class: how many there are, how many of them are found, and what they are taken for instead."""
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
