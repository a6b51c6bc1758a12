"""SIGINT and SIGTERM during a block: SIGTERM interrupts it, or both are recorded.

Only the main thread can set handlers. In any other thread a block changes nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def interrupt_on_sigterm() -> Generator[None]:
    """Turn SIGTERM into KeyboardInterrupt during the block, unless the caller handles it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second notice must not stop the cleaning up
        raise KeyboardInterrupt

    is_handled = signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    with _handling(interrupt, *([] if is_handled else [signal.SIGTERM])):
        yield


@contextmanager
def record_signals(received: list[int]) -> Generator[None]:
    """Append SIGINT and SIGTERM to `received`; a second SIGINT raises KeyboardInterrupt.

    SIGTERM may arrive twice: from the scheduler to all processes, and from a launcher that
    forwards its own.
    """

    def record(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and number in received:
            raise KeyboardInterrupt
        received.append(number)

    with _handling(record, signal.SIGINT, signal.SIGTERM):
        yield


@contextmanager
def _handling(handler: Handler, *numbers: int) -> Generator[None]:
    """Have `handler` called for these signals during the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
