"""Run benchmarks and print figures beside their targets: `python -m benchmarks [name ...]`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from benchmarks.measure import Figure, figures_of

BENCHMARKS = (
    "stats_process",
    "scaling",
    "variants",
    "build_time",
    "torch_forward",
    "onnx_forward",
    "keras_model",
    "decoding",
    "loader",
    "train_step",
    "train_loop",
    "data_parallel",
    "gpu",
)
COLUMNS = ("figure", "ours", "peer", "ratio", "quartiles", "target", "met")


def main() -> int:
    """Run the benchmarks and return 0, or 1 if `--strict` is set and a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*BENCHMARKS, []], metavar="name", help=", ".join(BENCHMARKS)
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    print(_machine(), flush=True)
    all_figures: list[Figure] = []
    for name in options.names or BENCHMARKS:
        print(f"\n{import_module(f'benchmarks.{name}').__doc__}\n", flush=True)
        # One process per benchmark: none inherits the memory of the one before.
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            figures = pool.submit(figures_of, name).result()
        if figures:
            print(_table(figures), flush=True)
        all_figures += figures
    targeted = [figure for figure in all_figures if figure.target]
    met = sum(figure.met for figure in targeted)
    print(f"\n{met} of {len(targeted)} targets met")
    return int(options.strict and met < len(targeted))


def _machine() -> str:
    """Return one line with the date, the machine and its load."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        cpu = next(
            (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu
        )
    system = (
        f"{platform.system()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )
    return f"{date.today()}, {cpu}, {os.cpu_count()} cores, {system}"


def _table(figures: Sequence[Figure]) -> str:
    rows = [COLUMNS, *map(_row, figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _row(figure: Figure) -> tuple[str, ...]:
    peer = "" if figure.theirs is None else f"{_quantity(figure.theirs, figure.unit)} {figure.peer}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
    spread = "" if figure.spread is None else "{:.3f} to {:.3f}".format(*figure.spread)
    bound = met = ""
    if figure.target:
        bound = f"{figure.target.bound} {figure.target.value:g}" + (
            f" {figure.unit}" if figure.ratio is None else ""
        )
        met = "yes" if figure.met else "NO"
    return (
        figure.what,
        _quantity(figure.ours, figure.unit),
        peer,
        ratio,
        spread,
        bound.rstrip(),
        met,
    )


def _quantity(value: float, unit: str) -> str:
    digits = {"s": 3, "ms": 1, "MB": 0, "images/s": 0, "TFLOPS": 1, "": 0}[unit]
    return f"{value:.{digits}f} {unit}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
