"""Timing by interleaved calls, compared by the median of their ratios.

A load on the machine slows interleaved calls alike.

>>> figure = Figure("stats", "s", 0.2, at_least(10), "fvcore", 3.0, ratios=[15.1, 14.9, 15.0])
>>> figure.ratio, figure.met
(15.0, True)
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryFile
from typing import Literal, TypeVar

T = TypeVar("T")

Clock = Callable[[], float]

ROOT = Path(__file__).parent.parent

ARCHSPEC = (sys.executable, "-c", "import sys; from archspec.cli import main; sys.exit(main())")
"""The command `archspec`, on this interpreter."""


@dataclass(frozen=True)
class Target:
    """A bound for the ratio of a figure or, if it has none, for its value."""

    bound: Literal["at least", "at most"]
    value: float

    def met(self, value: float) -> bool:
        return value >= self.value if self.bound == "at least" else value <= self.value


def at_least(value: float) -> Target:
    return Target("at least", value)


def at_most(value: float) -> Target:
    return Target("at most", value)


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    `ratios` come from pairs measured together; the target applies to their median. A figure
    without a target is for information only.
    """

    what: str
    unit: Literal["s", "ms", "MB", "images/s", "TFLOPS", ""]
    ours: float
    target: Target | None
    peer: str = ""
    theirs: float | None = None
    ratios: Sequence[float] = ()

    @property
    def ratio(self) -> float | None:
        return median(self.ratios) if self.ratios else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """Return the quartiles of the ratios."""
        if len(self.ratios) < 2:
            return None
        low, _, high = quantiles(self.ratios, n=4)
        return low, high

    @property
    def met(self) -> bool:
        return self.target is None or self.target.met(
            self.ours if self.ratio is None else self.ratio
        )


def figures_of(benchmark: str) -> list[Figure]:
    """Run a benchmark and return its figures."""
    return list(import_module(f"benchmarks.{benchmark}").figures())


@dataclass(frozen=True)
class Run:
    """One finished process: wall-clock seconds, peak resident memory in MB, and its output.

    On Linux the peak includes the memory of the parent at the start: use a small parent.
    """

    seconds: float
    memory: float
    output: str


def process(command: Sequence[str]) -> Run:
    """Run a command in the project's folder and wait for its end.

    Raise `CalledProcessError` if it fails.
    """
    with TemporaryFile("w+") as errors:  # frameworks write to stderr on import
        started = time.perf_counter()
        with subprocess.Popen(
            command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as child:
            assert child.stdout is not None
            output = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - started
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            failure = subprocess.CalledProcessError(child.returncode, command, output)
            failure.add_note(errors.read())
            raise failure
    return Run(seconds, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), output)


def _environment() -> dict[str, str]:
    """Return our environment with bytecode caching allowed, as for an installed package."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def processes(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Run]]:
    """Run all commands in each round, after one warm-up round that fills the caches."""
    return interleave(
        {name: lambda command=command: process(command) for name, command in commands.items()},
        rounds,
    )


def alternate(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    warm: int = 1,
    clock: Clock = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each call, measured in interleaved rounds.

    Every second round runs in reverse order; the first `warm` rounds are not timed. Use
    `time.process_time` for code on one thread: it leaves out the time of other processes.
    """

    def timed(call: Callable[[], object]) -> Callable[[], float]:
        def once() -> float:
            started = clock()
            call()
            return clock() - started

        return once

    return interleave({name: timed(call) for name, call in calls.items()}, rounds, warm)


def alternate_for(
    calls: Mapping[str, Callable[[], object]],
    seconds: float,
    clock: Clock = time.perf_counter,
    least: int = 11,
) -> dict[str, list[float]]:
    """Call `alternate` with as many rounds as fit into `seconds`, but at least `least`."""
    one_round = sum(map(sum, alternate(calls, rounds=1).values()))
    return alternate(calls, max(least, int(seconds / one_round)), clock=clock)


def interleave(
    calls: Mapping[str, Callable[[], T]], rounds: int, warm: int = 1
) -> dict[str, list[T]]:
    """Return the results of each call, made in the order of `alternate`."""
    results: dict[str, list[T]] = {name: [] for name in calls}
    names = list(calls)
    for index in range(-warm, rounds):
        for name in names if index % 2 == 0 else reversed(names):
            result = calls[name]()
            if index >= 0:
                results[name].append(result)
    return results


@contextmanager
def in_subprocess(make: Callable[[], Callable[[], object]]) -> Generator[Callable[[], object]]:
    """Yield a function that makes the call returned by `make`, in a separate process.

    Settings of that process do not affect other measurements.
    """
    with ProcessPoolExecutor(
        1, get_context("spawn"), initializer=_make_call, initargs=(make,)
    ) as pool:
        yield lambda: pool.submit(_run_call).result()


_calls: list[Callable[[], object]] = []


def _make_call(make: Callable[[], Callable[[], object]]) -> None:
    _calls.append(make())


def _run_call() -> None:
    _calls[0]()


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Divide pair by pair."""
    return [a / b for a, b in zip(numerators, denominators, strict=True)]
