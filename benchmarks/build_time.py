"""`archspec build googlenet` and loading what it wrote, whole processes, against the plain import of the framework."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import ARCHSPEC, Figure, Run, alternately, at_most, process, ratios

ROUNDS = 9
BACKENDS = ("torch", "keras", "onnx")
FACTOR, SECONDS = 1.5, 1.0
"""How much of the import's time a process may take, and how much beside it."""

_LOAD = """
import sys
from pathlib import Path
from archspec.backend import load
load(sys.argv[1]).load(Path(sys.argv[2]))
"""


def figures(
    spec: str = "googlenet", backends: Sequence[str] = BACKENDS, rounds: int = ROUNDS
) -> Iterator[Figure]:
    from archspec.backend import find

    for name in backends:
        imports = f"import {find(name).framework}"
        with TemporaryDirectory() as scratch:
            folder, kept = (str(Path(scratch) / place) for place in ("new", "kept"))
            build = (*ARCHSPEC, "build", spec, "--backend", name, "--quiet", "-o")
            process((*build, kept))
            calls = {
                "import": partial(process, (sys.executable, "-c", imports)),
                "build": partial(_anew, folder, (*build, folder)),
                "load": partial(process, (sys.executable, "-c", _LOAD, name, kept)),
            }
            runs = alternately(calls, rounds)
        seconds = {what: [run.seconds for run in found] for what, found in runs.items()}
        for what in ("build", "load"):
            yield against(f"{what} {spec}, {name}", seconds[what], imports, seconds["import"])


def _anew(folder: str, command: Sequence[str]) -> Run:
    """A command whose folder is not there yet."""
    shutil.rmtree(folder, ignore_errors=True)
    return process(command)


def against(what: str, ours: Sequence[float], imports: str, theirs: Sequence[float]) -> Figure:
    """The seconds of a process as parts of those that the import allows it.

    >>> figure = against("build", [2.0, 2.6], "import torch", [1.0, 1.0])
    >>> figure.theirs, round(figure.ratio, 2), figure.met
    (2.5, 0.92, True)
    """
    allowed = [FACTOR * s + SECONDS for s in theirs]
    peer = f"({FACTOR:g} x {imports} + {SECONDS:g} s)"
    return Figure(what, "s", median(ours), at_most(1), peer, median(allowed), ratios(ours, allowed))
