"""`archspec data`: sets of pictures, read through before they are trained on, or packed into shards."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from archspec.cli.common import actions, progress, say

if TYPE_CHECKING:
    from archspec.train.data import Checked

HELP = "check data, and pack them into shards"
SOME = 3
"""Of many files, how many are named."""
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def arguments(parser: argparse.ArgumentParser) -> None:
    action = actions(parser)
    check = action("check", "read data through and name every sample that is bad")
    check.add_argument(
        "data", metavar="DATA", help="a folder of pictures, shards, an .npz file, or a set by name"
    )
    check.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes that read (default: 0)"
    )
    check.add_argument(
        "--format", choices=("text", "json"), default="text", help="for people, or data"
    )
    check.add_argument("--quiet", action="store_true", help="no remarks and no progress")

    pack = action("pack", "write a set of pictures as shards")
    pack.add_argument(
        "data", metavar="DATA", help="a folder of pictures, shards, an .npz file, or a set by name"
    )
    pack.add_argument("-o", "--output", required=True, metavar="DIR", help="the folder to write")
    pack.add_argument(
        "--shard-size", default="256MB", metavar="SIZE", help="bytes of a shard (default: 256MB)"
    )
    pack.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="scale pictures down to N pixels on their shorter side",
    )
    pack.add_argument("--quiet", action="store_true", help="no remarks and no progress")


def run(options: argparse.Namespace) -> int:
    return _check(options) if options.action == "check" else _pack(options)


def _check(options: argparse.Namespace) -> int:
    import json

    from archspec.diagnostics import UsageError, quote
    from archspec.diagnostics.render import visible
    from archspec.train.data import check

    if options.workers < 0:
        raise UsageError("--workers is at least 0")
    with progress(options.quiet) as watch:
        found = check(options.data, options.workers, watch)
    if options.format == "json":
        print(json.dumps(_facts(found), indent=2))
    else:
        for bad in found.bad:
            print(visible(bad.reason if bad.name in bad.reason else f"{bad.name}: {bad.reason}"))
        if found.passed_over:
            some = ", ".join(map(quote, found.passed_over[:SOME])) + (
                ", ..." if found.passed_over[SOME:] else ""
            )
            say(
                f"no pictures of a class, and passed over: {some} ({len(found.passed_over):,} in all)",
                options,
            )
        counts = (
            ", ".join(f"{count:,} of {name}" for name, count in found.samples.items())
            or "no samples"
        )
        say(
            f"{found.classes} classes, {counts}: "
            + (f"{len(found.bad):,} bad" if found.bad else "all fine"),
            options,
        )
    return int(bool(found.bad))


def _facts(found: Checked) -> dict[str, Any]:
    bad = [{"name": bad.name, "reason": bad.reason} for bad in found.bad]
    return {
        "classes": found.classes,
        "samples": found.samples,
        "bad": bad,
        "passed_over": found.passed_over,
    }


def _pack(options: argparse.Namespace) -> int:
    from pathlib import Path

    from archspec.diagnostics import UsageError
    from archspec.diagnostics.render import visible
    from archspec.train.data import pack

    if options.size is not None and options.size < 1:
        raise UsageError("--size is at least 1")
    limit = _bytes(options.shard_size)
    with progress(options.quiet) as watch:
        made = pack(
            options.data, Path(options.output), shard_size=limit, size=options.size, watch=watch
        )
    shards = [shard for part in made.parts.values() for shard in part.shards]
    samples, size = sum(shard.samples for shard in shards), sum(shard.bytes for shard in shards)
    say(
        f"{samples:,} pictures of {len(made.classes)} classes in {len(shards)} shards, {size:,} bytes",
        options,
    )
    print(visible(options.output))
    return 0


def _bytes(text: str) -> int:
    """A size as people write it.

    >>> _bytes("256MB"), _bytes("1.5 GB"), _bytes("4096")
    (256000000, 1500000000, 4096)
    """
    import re

    from archspec.diagnostics import UsageError

    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?) ?([KMG]B|)", text.strip().upper())
    value = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if value < 1:
        raise UsageError(f"--shard-size is a number of bytes, as 256MB, found {text}")
    return value
