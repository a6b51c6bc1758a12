"""A block that may take so many seconds and no more: what waits for ever fails."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


class OutOfTime(BaseException):
    """The time is over; nothing that catches errors catches this, as it would a TimeoutError."""


@contextmanager
def time_limit(seconds: float) -> Generator[None]:
    """Raise `OutOfTime` in the block once that time is over."""

    def expire(number: int, frame: FrameType | None) -> None:
        raise OutOfTime(f"still at it after {seconds} seconds")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
