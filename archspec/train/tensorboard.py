"""The log of a run as TensorBoard reads it: a file of events beside it, which needs nothing but Python to be written.

A file of events is a row of records, each with its length and their checksums, as TensorFlow's `record_writer.cc` has
them; a record is a message of protocol buffers, of which three fields are used here: `event.proto`, `summary.proto`.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     events = Events(Path(folder), [{"step": 1, "time": 1.0, "train/loss": 0.5}])
...     events.add({"step": 2, "time": 2.0, "train/loss": 0.25})
...     events.path.read_bytes().count(b"train/loss")
2
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

PATTERN = "events.out.tfevents.*"


class Events:
    """A file of events that says what the log says.

    A run that goes on writes a new one, with all that is still valid, in the place of the old: no step is lost or
    there twice, whoever reads it. The new one begins with the mark by which a TensorBoard that has read the old one
    forgets it.
    """

    def __init__(self, run: Path, reports: Iterable[Mapping[str, float]]) -> None:
        old = sorted(run.glob(PATTERN))
        now = time.time()
        # Readers take files in the order of their names: seconds, then what tells apart two of one second.
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{time.time_ns()}"
        self.path = run / name
        begin = [
            _event(now, 0, 3, b"brain.Event:2"),
            _event(now, 0, 7, _number(1, 1)),
        ]  # a version, a session's start
        self.path.write_bytes(b"".join(map(_record, [*begin, *map(_report, reports)])))
        for path in old[:-1]:
            path.unlink()
        for path in old[-1:]:
            path.write_bytes(
                b""
            )  # a TensorBoard that reads it goes on to the next, but not from a file that is gone

    def add(self, report: Mapping[str, float]) -> None:
        """Values by tag, and `step` and `time`, which belong to all of them."""
        with self.path.open("ab") as file:
            file.write(_record(_report(report)))


def _report(report: Mapping[str, float]) -> bytes:
    tags = {tag: value for tag, value in report.items() if tag not in ("step", "time")}
    values = [
        _text(1, tag.encode()) + b"\x15" + struct.pack("<f", value) for tag, value in tags.items()
    ]
    return _event(
        report["time"], int(report["step"]), 5, b"".join(_text(1, value) for value in values)
    )


def _event(when: float, step: int, field: int, content: bytes) -> bytes:
    return b"\x09" + struct.pack("<d", when) + _number(2, step) + _text(field, content)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the eighth bit."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    """CRC-32C, masked: records may hold checksums themselves."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _table() -> tuple[int, ...]:
    found: list[int] = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        found.append(value)
    return tuple(found)
