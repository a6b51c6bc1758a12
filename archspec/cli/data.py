"""`archspec data`: read image data through before training on it, or pack it into shards."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from archspec.cli.common import add_actions, print_note, progress

if TYPE_CHECKING:
    from archspec.train.data import DataReport

HELP = "check data, and pack them into shards"
DATA_HELP = "a folder of images, shards, an .npz file, or the name of a built-in set"
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
PART_NAMES = {"train": "training", "val": "validation"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_action = add_actions(parser)
    check = add_action("check", "read data through and name every sample that is bad")
    check.add_argument("data", metavar="DATA", help=DATA_HELP)
    check.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes that read (default: 0)"
    )
    check.add_argument(
        "--format", choices=("text", "json"), default="text", help="for people, or data"
    )
    check.add_argument("--quiet", action="store_true", help="no remarks and no progress")

    pack = add_action("pack", "write a set of images as shards")
    pack.add_argument("data", metavar="DATA", help=DATA_HELP)
    pack.add_argument("-o", "--output", required=True, metavar="DIR", help="the folder to write")
    pack.add_argument(
        "--shard-size", default="256MB", metavar="SIZE", help="bytes of a shard (default: 256MB)"
    )
    pack.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="scale images down to N pixels on their shorter side",
    )
    pack.add_argument("--quiet", action="store_true", help="no remarks and no progress")


def execute(options: argparse.Namespace) -> int:
    return _check(options) if options.action == "check" else _pack(options)


def _check(options: argparse.Namespace) -> int:
    import json

    from archspec.diagnostics.render import visible
    from archspec.train.data import check_data
    from archspec.train.data.folder import describe_ignored
    from archspec.train.data.workers import check_workers

    check_workers(options.workers)
    with progress(options.quiet) as on_progress:
        report = check_data(options.data, options.workers, on_progress)
    if options.format == "json":
        print(json.dumps(_report_json(report), indent=2))
        return int(bool(report.bad))
    for bad in report.bad:
        print(visible(bad.reason if bad.name in bad.reason else f"{bad.name}: {bad.reason}"))
    if report.ignored:
        print_note(describe_ignored(report.ignored), options)
    print_note(_summary(report), options)
    return int(bool(report.bad))


def _summary(report: DataReport) -> str:
    """Return a line such as `2 classes, 21 training images, 1 unreadable`."""
    from archspec.diagnostics import counted

    counts = [counted(count, f"{PART_NAMES[part]} image") for part, count in report.samples.items()]
    unreadable = f"{len(report.bad):,} unreadable" if report.bad else "all readable"
    return ", ".join(
        [counted(report.classes, "class", "classes"), *(counts or ["no images"]), unreadable]
    )


def _report_json(report: DataReport) -> dict[str, Any]:
    return {
        "classes": report.classes,
        "samples": report.samples,
        "bad": [{"name": bad.name, "reason": bad.reason} for bad in report.bad],
        "ignored": report.ignored,
    }


def _pack(options: argparse.Namespace) -> int:
    from pathlib import Path

    from archspec.diagnostics import UsageError, counted
    from archspec.diagnostics.render import visible
    from archspec.train.data import pack

    if options.size is not None and options.size < 1:
        raise UsageError("--size is at least 1")
    shard_size = _parse_size(options.shard_size)
    with progress(options.quiet) as on_progress:
        manifest = pack(
            options.data,
            Path(options.output),
            shard_size=shard_size,
            size=options.size,
            on_progress=on_progress,
            on_note=partial(print_note, options=options),
        )
    shards = [shard for part in manifest.parts.values() for shard in part.shards]
    images = sum(shard.samples for shard in shards)
    size = sum(shard.bytes for shard in shards)
    classes = counted(len(manifest.classes), "class", "classes")
    count = counted(len(shards), "shard", "shards")
    print_note(f"{counted(images, 'image')} of {classes} in {count}, {size:,} bytes", options)
    print(visible(options.output))
    return 0


def _parse_size(text: str) -> int:
    """Return a size in bytes.

    >>> _parse_size("256MB"), _parse_size("1.5 GB"), _parse_size("4096")
    (256000000, 1500000000, 4096)
    """
    import re

    from archspec.diagnostics import UsageError

    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?) ?([KMG]B|)", text.strip().upper())
    size = int(float(match[1]) * UNITS[match[2]]) if match else 0
    if size < 1:
        message = f"--shard-size is a number of bytes, such as 256MB, found {text}"
        raise UsageError(message)
    return size
