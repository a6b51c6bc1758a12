"""Exceptions of frameworks in training, as errors that say what to do."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from archspec.diagnostics import Failure

OUT_OF_MEMORY = (
    "out of memory",
    "OutOfMemory",
    "can't allocate memory",
    "RESOURCE_EXHAUSTED",
    "OOM when allocating",
)
"""Parts of the messages of PyTorch, TensorFlow and JAX: they share no exception for it."""


@contextmanager
def explaining_failures(*, compiled: bool) -> Generator[None]:
    """Turn a framework's exception into a `Failure` if memory or the compiler explains it."""
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        if isinstance(error, MemoryError) or any(text in str(error) for text in OUT_OF_MEMORY):
            help = (
                "--set train.accumulate=2 computes a batch in two parts; "
                "--resume continues from the last checkpoint"
            )
            raise Failure(f"there is not enough memory: {first_line}", help) from error
        if not compiled:
            raise
        help = "leave out --compile"
        raise Failure(f"the compiled model fails: {first_line}", help) from error
