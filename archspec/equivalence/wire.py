"""Messages between a process and its worker: a JSON head and named arrays, with lengths.

>>> import io
>>> import numpy as np
>>> pipe = io.BytesIO()
>>> send(pipe, {"call": "forward"}, {"x": np.ones(2)})
>>> _ = pipe.seek(0)
>>> receive(pipe)
({'call': 'forward'}, {'x': array([1., 1.])})
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import IO, Any

from archspec._numpy import Array, np
from archspec.backend import BackendError, MissingFramework, UnknownBackend
from archspec.diagnostics import Failure

_LENGTH = struct.Struct("<Q")


class Closed(Exception):
    """The other side ended."""


def send(
    pipe: IO[bytes], head: Mapping[str, Any], arrays: Mapping[str, Array] | None = None
) -> None:
    """Write one message; raise `Closed` if the reader has ended."""
    from safetensors.numpy import save

    # Only numbers and text go over: nothing that is read here can run.
    tensors = save({name: np.asarray(array, order="C") for name, array in (arrays or {}).items()})
    try:
        for part in (json.dumps(head).encode(), tensors):
            pipe.write(_LENGTH.pack(len(part)))
            pipe.write(part)
        pipe.flush()
    except (OSError, ValueError) as error:  # a closed file's is a ValueError
        raise Closed(str(error)) from error


def receive(pipe: IO[bytes]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read one message; raise `Closed` if the writer ended before it was whole."""
    from safetensors.numpy import load

    head, arrays = _part(pipe), _part(pipe)
    return json.loads(head), load(arrays)


def _part(pipe: IO[bytes]) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data = pipe.read(count)
    if len(data) < count:
        raise Closed("the other side ended")
    return data


_KINDS: Mapping[str, type[BackendError]] = {
    "unknown": UnknownBackend,
    "missing": MissingFramework,
    "": BackendError,
}


def failure_kind(error: Failure) -> str:
    """Return the word by which a message names the class of a failure.

    >>> failure_class(failure_kind(UnknownBackend("unknown backend `toch`"))).__name__
    'UnknownBackend'
    """
    return next((kind for kind, cls in _KINDS.items() if isinstance(error, cls)), "")


def failure_class(kind: str) -> type[BackendError]:
    """Return the class to raise for a failure of that kind on the other side."""
    return _KINDS.get(kind, BackendError)


def grouped(arrays: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Return arrays by the group before the first slash of their names."""
    groups: dict[str, dict[str, Array]] = {}
    for name, value in arrays.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = value
    return groups
