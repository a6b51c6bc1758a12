"""Files of events: TensorFlow reads back what was written, and a resumed run loses and doubles nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archspec.diagnostics import Failure
from archspec.train.log import MetricsLog
from archspec.train.tensorboard import PATTERN, EventFile


def events(run: Path) -> Iterator[Any]:
    """All events of a run, by TensorFlow's own reader, which refuses what is damaged."""
    import tensorflow as tf

    for path in sorted(run.glob(PATTERN)):
        for record in tf.data.TFRecordDataset(str(path)):
            yield tf.compat.v1.Event.FromString(record.numpy())


def read(run: Path) -> list[tuple[int, str, float]]:
    return [
        (event.step, value.tag, value.simple_value)
        for event in events(run)
        for value in event.summary.value
    ]


def test_tensorflow_reads_what_was_reported(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    log.add(
        20, "train", epoch=0.5, learning_rate=0.125, losses={"main": 2.5, "aux ü": 3.5, "loss": 4.0}
    )
    log.add(2**40, "validation", loss=1.5, top1=0.25)
    assert read(tmp_path) == [
        (20, "train/epoch", 0.5), (20, "train/learning_rate", 0.125), (20, "train/losses/main", 2.5),
        (20, "train/losses/aux ü", 3.5), (20, "train/losses/loss", 4.0),
        (2**40, "validation/loss", 1.5), (2**40, "validation/top1", 0.25),
    ]  # fmt: skip
    first, second, *reports = events(tmp_path)
    assert first.file_version == "brain.Event:2"
    assert second.session_log.status == 1  # a session that starts
    assert 0 <= reports[1].wall_time - reports[0].wall_time < 60


def test_a_resumed_run_loses_and_doubles_nothing(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    for step in (5, 10, 15):
        log.add(step, "train", learning_rate=step)
    path = log.events.path
    path.write_bytes(path.read_bytes()[:-7])  # what a kill cuts off
    log = MetricsLog(tmp_path, 10)  # the last checkpoint
    log.add(15, "train", learning_rate=0.5)
    assert read(tmp_path) == [
        (5, "train/learning_rate", 5),
        (10, "train/learning_rate", 10),
        (15, "train/learning_rate", 0.5),
    ]
    assert log.events.path.name > path.name  # readers go on to a name that comes after
    assert path.read_bytes() == b""  # and not from a file that is gone
    MetricsLog(tmp_path, 15)
    assert not path.exists()
    assert len(read(tmp_path)) == 3


def test_the_reader_sees_a_byte_that_is_wrong(tmp_path: Path) -> None:
    import tensorflow as tf

    path = EventFile(tmp_path, [{"step": 1, "time": 0.0, "loss": 1.0}]).path
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(tf.errors.DataLossError):
        read(tmp_path)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    log.events.path.unlink()
    log.events.path.symlink_to("/dev/full")
    with pytest.raises(Failure, match="cannot write .*: no space left on device"):
        log.add(1, "train", learning_rate=1.0)
