"""Time of `archspec build googlenet` and of loading the built model, against a framework import.

Each measurement is a whole process.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import ARCHSPEC, Figure, Run, at_most, interleave, process, ratios

ROUNDS = 9
BACKENDS = ("torch", "keras", "onnx")
IMPORT_FACTOR = 1.5
EXTRA_SECONDS = 1.0
"""A process may take the import's time by the factor, and these seconds more."""

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
            rebuilt = str(Path(scratch) / "rebuilt")
            prebuilt = str(Path(scratch) / "prebuilt")
            build = (*ARCHSPEC, "build", spec, "--backend", name, "--quiet", "-o")
            process((*build, prebuilt))
            calls = {
                "import": partial(process, (sys.executable, "-c", imports)),
                "build": partial(_rebuild, rebuilt, (*build, rebuilt)),
                "load": partial(process, (sys.executable, "-c", _LOAD, name, prebuilt)),
            }
            runs = interleave(calls, rounds)
        seconds = {call: [run.seconds for run in results] for call, results in runs.items()}
        for call in ("build", "load"):
            yield against(f"{call} {spec}, {name}", seconds[call], imports, seconds["import"])


def _rebuild(folder: str, command: Sequence[str]) -> Run:
    """Run a command with its output folder removed first."""
    shutil.rmtree(folder, ignore_errors=True)
    return process(command)


def against(what: str, ours: Sequence[float], imports: str, theirs: Sequence[float]) -> Figure:
    """Return the seconds of a process relative to those that the import allows it.

    >>> figure = against("build", [2.0, 2.6], "import torch", [1.0, 1.0])
    >>> figure.theirs, round(figure.ratio, 2), figure.met
    (2.5, 0.92, True)
    """
    allowed = [IMPORT_FACTOR * s + EXTRA_SECONDS for s in theirs]
    peer = f"({IMPORT_FACTOR:g} x {imports} + {EXTRA_SECONDS:g} s)"
    return Figure(what, "s", median(ours), at_most(1), peer, median(allowed), ratios(ours, allowed))
