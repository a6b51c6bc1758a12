"""A run's metrics as TensorBoard reads them: an event file, written with nothing but Python.

An event file is a sequence of records, each with its length and their checksums, as in
TensorFlow's `record_writer.cc`. A record is a protocol buffer message of which three fields are
used here: see `event.proto` and `summary.proto`.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     events = EventFile(Path(folder), [{"step": 1, "time": 1.0, "train/loss": 0.5}])
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


class EventFile:
    """An event file that mirrors the log.

    A resumed run writes a new file, with all that is still valid, in place of the old one: no step
    is missing or there twice for any reader. It begins with a session start, by which a
    TensorBoard that has read the old file forgets it.
    """

    def __init__(self, run: Path, reports: Iterable[Mapping[str, float]]) -> None:
        old_files = sorted(run.glob(PATTERN))
        now = time.time()
        # Readers take files in the order of their names: seconds, then what separates two files
        # of one second.
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{time.time_ns()}"
        self.path = run / name
        version = _event(now, 0, 3, b"brain.Event:2")
        session_start = _event(now, 0, 7, _number(1, 1))
        events = [version, session_start, *map(_report, reports)]
        self.path.write_bytes(b"".join(map(_record, events)))
        for path in old_files[:-1]:
            path.unlink()
        for path in old_files[-1:]:
            # A TensorBoard that reads it continues with the next file, unless this one is gone.
            path.write_bytes(b"")

    def add(self, report: Mapping[str, float]) -> None:
        """Append values by tag; `step` and `time` apply to all of them."""
        with self.path.open("ab") as file:
            file.write(_record(_report(report)))


def _report(report: Mapping[str, float]) -> bytes:
    values = [
        _text(1, tag.encode()) + b"\x15" + struct.pack("<f", value)
        for tag, value in report.items()
        if tag not in ("step", "time")
    ]
    summary = b"".join(_text(1, value) for value in values)
    return _event(report["time"], int(report["step"]), 5, summary)


def _event(when: float, step: int, field: int, content: bytes) -> bytes:
    return b"\x09" + struct.pack("<d", when) + _number(2, step) + _text(field, content)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Encode seven bits a byte, lowest first; every byte but the last has its eighth bit set."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    """Return the CRC-32C, masked because records may contain checksums themselves."""
    table = _crc_table()
    crc = 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _crc_table() -> tuple[int, ...]:
    table: list[int] = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)
