"""`archspec eval`: how good trained runs are, each by itself and together."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archspec.train.data import Data
    from archspec.train.evaluation import Evaluation
    from archspec.train.scores import Scores
    from archspec.train.trained_run import Member

SHOWN_BAD = 10
HELP = "score trained runs on what was held out, alone and as an ensemble"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folders that `archspec train` wrote"
    )
    parser.add_argument(
        "--best", action="store_true", help="the weights of each run's best epoch, not of its last"
    )
    parser.add_argument("--data", metavar="DATA", help="in place of what the runs were trained on")
    parser.add_argument(
        "--val-split", type=float, metavar="SHARE", help="a share of those, and not the whole"
    )
    parser.add_argument(
        "--crops",
        default="1",
        metavar="N,...",
        help="of each picture: 1, 10, 144, or several of them (default: 1)",
    )
    parser.add_argument(
        "--device", metavar="NAME", help="what to compute on, as cpu or cuda:1 (default: the best)"
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
    more = parser.add_mutually_exclusive_group()
    more.add_argument("--classes", action="store_true", help="the scores of each class")
    more.add_argument(
        "--confusion", action="store_true", help="how often each class is taken for which"
    )
    parser.add_argument(
        "--format",
        choices=("table", "json", "csv"),
        default="table",
        help="for people, or data; csv is one table",
    )
    parser.add_argument("--quiet", action="store_true", help="no remarks and no progress")


def run(options: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    from archspec.cli.common import progress, say, say_which
    from archspec.diagnostics import UsageError
    from archspec.diagnostics.render import visible
    from archspec.train import tables
    from archspec.train.evaluation import evaluate
    from archspec.train.holdout import unseen
    from archspec.train.trained_run import Member

    if options.batch < 1 or options.workers < 0:
        raise UsageError("--batch is at least 1, --workers at least 0")
    crops = _crops(options.crops)
    folders = list(dict.fromkeys(Path(name) for name in options.runs))

    def remark(text: str) -> None:
        say(text, options)

    members = [
        Member.open(folder, best=options.best, device=options.device, remark=remark)
        for folder in folders
    ]
    say(
        f"note: on {', '.join(dict.fromkeys(member.trainer.device for member in members))}", options
    )
    if options.data:
        say_which(options.data, options)
    data = unseen(members, options.data, options.val_split)
    how: Any = {"batch": options.batch, "workers": options.workers, "bad_data": options.bad_data}
    with progress(options.quiet) as watch:
        found = [evaluate(members, data, crops=count, watch=watch, **how) for count in crops]
    bad = _bad(found)
    for name in bad[:SHOWN_BAD]:
        say(f"cannot read {visible(name)}; it is left out", options)
    if len(bad) > SHOWN_BAD:
        say(f"{len(bad)} samples could not be read", options)
    if options.format == "json":
        print(json.dumps([_facts(one, members) for one in found], indent=2))
    elif options.format == "csv":
        print(tables.as_csv(_asked(found[-1], options) or tables.scores(found)), end="")
    else:
        print("\n".join(_shown(found, data, options)))
    return 0


def _crops(text: str) -> list[int]:
    from archspec.diagnostics import UsageError
    from archspec.train.data import COUNTS

    known = {str(count): count for count in (1, *COUNTS)}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise UsageError(f"--crops takes {', '.join(known)}, found {name}")
    return [known[name] for name in dict.fromkeys(names)]


def _asked(found: Evaluation, options: argparse.Namespace) -> Any:
    """The table beside that of the scores: of all runs together, by the crops that were named last."""
    from archspec.train import tables

    if options.confusion:
        return tables.confusion(found.together, found.classes)
    return tables.classes(found.together, found.classes) if options.classes else None


def _bad(found: list[Evaluation]) -> list[str]:
    """Some crops can be made of a picture, and others not."""
    return list(dict.fromkeys(name for one in found for name in one.bad))


def _shown(found: list[Evaluation], data: Data, options: argparse.Namespace) -> list[str]:
    from archspec.diagnostics import quote
    from archspec.train import tables

    bad = _bad(found)
    lost = f", of which {len(bad)} could not be read" if bad else ""
    of = "that were held out" if data.share < 1 else f"of {quote(data.name)}"
    lines = [tables.text(tables.scores(found)), f"{len(data.held_out)} samples {of}{lost}"]
    more = _asked(found[-1], options)
    if options.confusion and len(found[-1].classes) > tables.WIDE:
        return [
            *lines,
            "",
            f"{len(found[-1].classes)} classes are too many to show here: --format csv, or json",
        ]
    return [*lines, "", tables.text(more)] if more else lines


def _facts(found: Evaluation, members: list[Member]) -> dict[str, Any]:
    return {
        "crops": found.crops,
        "classes": list(found.classes),
        "devices": {str(member.folder): member.trainer.device for member in members},
        "runs": {name: _figures(scores) for name, scores in found.each.items()},
        "together": _figures(found.together),
        "samples": found.together.count,
        "bad": list(found.bad),
    }


def _figures(scores: Scores) -> dict[str, Any]:
    """The figures, and by class: the confusion has a row for each true class."""
    each = [scores.of_class(index) for index in range(scores.classes)]
    shares = {"recall": [one.recall for one in each], "precision": [one.precision for one in each]}
    return {**scores.summary(), **shares, "confusion": scores.confusion.tolist()}
