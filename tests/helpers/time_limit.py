"""A block that may take so many seconds and no more: what waits for ever fails."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def time_limit(seconds: float) -> Generator[None]:
    """Raise TimeoutError in the block once that time is over."""

    def expire(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"still at it after {seconds} seconds")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
