"""How the time of training splits: waiting for data, and computing.

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
        self.waited = self.computed = 0.0
        self.samples = 0

    @contextmanager
    def waiting(self) -> Generator[None]:
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    @contextmanager
    def computing(self, samples: int = 0) -> Generator[None]:
        """Where the backend need not wait for its device, the time shows where something does."""
        start = time.perf_counter()
        yield
        self.computed += time.perf_counter() - start
        self.samples += samples

    def report(self) -> dict[str, float]:
        """Samples a second, and the share of the time that was spent waiting for data."""
        whole = (self.waited + self.computed) or 1e-9
        found = {"samples_per_second": self.samples / whole, "waiting": self.waited / whole}
        self.waited = self.computed = 0.0
        self.samples = 0
        return found
