"""The split of training time into waiting for data and computing.

>>> clock = Clock()
>>> with clock.waiting():
...     batch = range(8)
>>> with clock.computing(len(batch)):
...     total = sum(batch)
>>> sorted(clock.report())
['samples_per_second', 'waiting']
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager


class Clock:
    """Adds up the seconds since its last report."""

    def __init__(self) -> None:
        self.waited = 0.0
        self.computed = 0.0
        self.samples = 0

    @contextmanager
    def waiting(self) -> Generator[None]:
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    @contextmanager
    def computing(self, samples: int = 0) -> Generator[None]:
        """Time the block as computing.

        A backend need not wait for its device: the time shows up where something does wait.
        """
        start = time.perf_counter()
        yield
        self.computed += time.perf_counter() - start
        self.samples += samples

    def report(self) -> dict[str, float]:
        """Return the samples per second and the share of time spent waiting, then start anew."""
        total = (self.waited + self.computed) or 1e-9
        figures = {"samples_per_second": self.samples / total, "waiting": self.waited / total}
        self.waited = 0.0
        self.computed = 0.0
        self.samples = 0
        return figures
