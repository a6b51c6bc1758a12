"""Attribute an exception of a backend's own code to that backend.

>>> with attributed("mine", "emitting `net`"):  # doctest: +ELLIPSIS
...     {}["conv"]
Traceback (most recent call last):
archspec.backend.attribution.BackendFault: the backend `mine` failed while emitting `net`: ...
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from archspec.diagnostics import Failure, quote
from archspec.ir.graph import Node

REPORT_HELP = "report it to its authors; ARCHSPEC_TRACEBACK=1 shows where it failed"


class BackendError(Failure):
    """A backend that is unknown, broken, or whose framework is missing."""


class BackendFault(BackendError):
    """An exception that a backend's own code raised, which is its cause."""


class LoweringError(Exception):
    """An exception in a lowering: `node` is the node that was lowered, `__cause__` the
    exception."""

    def __init__(self, node: Node) -> None:
        super().__init__(f"while lowering {quote(node.op.kind)} at {node.span}")
        self.node = node


@contextmanager
def lowering(node: Node) -> Generator[None]:
    """Note which node is lowered in the block, so that an exception there can name its op and line.

    `archspec.codegen` does this for the backends that use it. A backend with a loop of its own over
    the nodes puts the body of that loop in this block. A `Failure` passes through as it is.
    """
    try:
        yield
    except (Failure, LoweringError):
        raise
    except Exception as error:
        raise LoweringError(node) from error


@contextmanager
def attributed(backend: str, action: str) -> Generator[None]:
    """Turn an exception of the block into a `BackendFault` that names the backend and the action.

    If a lowering was at work, the error names its op and its line in the spec instead of `action`.
    A `Failure` passes through as it is: it already says what is wrong.
    """
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        raise backend_fault(backend, action, error) from error


def backend_fault(backend: str, action: str, error: Exception) -> BackendFault:
    """Return the error that attributes an exception to a backend."""
    if not isinstance(error, LoweringError):
        error_text = f"while {action}: {describe_exception(error)}"
    else:
        error_text = describe_exception(error)
    return BackendFault(f"the backend {quote(backend)} failed {error_text}", REPORT_HELP)


def describe_exception(error: BaseException) -> str:
    """Return the type and first line of an exception, after the op and line it was lowering.

    >>> describe_exception(KeyError("conv"))
    "KeyError: 'conv'"
    """
    if isinstance(error, LoweringError) and error.__cause__ is not None:
        return f"{error}: {describe_exception(error.__cause__)}"
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
