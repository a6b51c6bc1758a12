"""Messages between processes: whole, cut short, and to nobody."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.equivalence.wire import Closed, receive, send

ARRAYS: dict[str, Any] = {
    "x": np.arange(6.0).reshape(2, 3),
    "a scalar": np.array(3.5, np.float32),
    "tensors/b1.1x1.weight@momentum": np.zeros((0, 4), np.float32),
    "turned": np.arange(6.0).reshape(2, 3).T,
    "ü": np.array([np.inf, -np.inf, np.nan]),
}


def message() -> bytes:
    pipe = io.BytesIO()
    send(pipe, {"call": "forward", "train": True}, ARRAYS)
    return pipe.getvalue()


def test_a_message_arrives_as_it_was() -> None:
    head, arrays = receive(io.BytesIO(message()))
    assert head == {"call": "forward", "train": True}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array, equal_nan=True)


def test_messages_follow_one_another() -> None:
    pipe = io.BytesIO(message() + message())
    assert receive(pipe)[0] == receive(pipe)[0]
    with pytest.raises(Closed):
        receive(pipe)


@given(st.integers(0, len(message()) - 1))
def test_a_message_that_is_cut_short_is_none(length: int) -> None:
    with pytest.raises(Closed):
        receive(io.BytesIO(message()[:length]))


def test_nobody_reads() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    pipe = os.fdopen(writing, "wb")
    with pytest.raises(Closed):
        send(pipe, {"call": "a short one, which would lie in the buffer"})
    with pytest.raises(BrokenPipeError):
        pipe.close()


def test_a_pipe_of_ours_that_is_closed() -> None:
    pipe = io.BytesIO()
    pipe.close()
    with pytest.raises(Closed):
        send(pipe, {})
