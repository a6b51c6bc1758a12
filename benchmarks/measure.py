"""How things are timed: alternately, so that what slows the machine down slows both sides, and judged by medians.

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
"""What the command `archspec` runs."""


@dataclass(frozen=True)
class Target:
    """What a figure has to keep to: its ratio where it has one, else itself."""

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
    """One line of the table. `ratios` are of pairs measured side by side; the median of them is held to the target.

    A figure without a target is there to be seen.
    """

    what: str
    unit: Literal["s", "ms", "MB", ""]
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
        """The quartiles of the ratios."""
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
    """Runs one of the benchmarks."""
    return list(import_module(f"benchmarks.{benchmark}").figures())


@dataclass(frozen=True)
class Run:
    """One whole process: wall-clock seconds, peak resident memory in MB, and what it printed.

    Linux counts what the process that starts it holds at that moment, too: start it from a small one.
    """

    seconds: float
    memory: float
    output: str


def process(command: Sequence[str]) -> Run:
    """Runs a command from the project's folder to its end; raises `CalledProcessError` where it fails."""
    with TemporaryFile("w+") as errors:  # frameworks talk there as they are imported
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
    """Ours, but compiled modules may be kept, as they are wherever a package is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def processes(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Run]]:
    """Runs each command in turn, round after round, after one round that only fills the caches."""
    return alternately(
        {name: lambda command=command: process(command) for name, command in commands.items()},
        rounds,
    )


def alternate(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    warm: int = 1,
    clock: Clock = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each call: every round times all of them, in turn there and back, after `warm` rounds untimed.

    What computes in one thread can be timed by `time.process_time`, which stands still while others have the processor.
    """

    def timed(call: Callable[[], object]) -> Callable[[], float]:
        def once() -> float:
            started = clock()
            call()
            return clock() - started

        return once

    return alternately({name: timed(call) for name, call in calls.items()}, rounds, warm)


def alternate_for(
    calls: Mapping[str, Callable[[], object]],
    seconds: float,
    clock: Clock = time.perf_counter,
    least: int = 11,
) -> dict[str, list[float]]:
    """As `alternate`, with as many rounds as fit into so many seconds, and no fewer than `least`."""
    once = alternate(calls, rounds=1)
    return alternate(calls, max(least, int(seconds / sum(map(sum, once.values())))), clock=clock)


def alternately(
    calls: Mapping[str, Callable[[], T]], rounds: int, warm: int = 1
) -> dict[str, list[T]]:
    """What each call gives, in the order of `alternate`."""
    found: dict[str, list[T]] = {name: [] for name in calls}
    names = list(calls)
    for index in range(-warm, rounds):
        for name in names if index % 2 == 0 else reversed(names):
            result = calls[name]()
            if index >= 0:
                found[name].append(result)
    return found


@contextmanager
def apart(make: Callable[[], Callable[[], object]]) -> Generator[Callable[[], object]]:
    """The call that `make` gives, in a process of its own: what one side sets there does not change the other."""
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(make,)) as pool:
        yield lambda: pool.submit(_call).result()


_made: list[Callable[[], object]] = []


def _begin(make: Callable[[], Callable[[], object]]) -> None:
    _made.append(make())


def _call() -> None:
    _made[0]()


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Pair by pair."""
    return [a / b for a, b in zip(of, to, strict=True)]
