"""What processes that train together do as one: join, fail, and stop."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

from archspec._numpy import np
from archspec.backend import Backend
from archspec.backend.process_group import ProcessGroup, SingleProcess
from archspec.diagnostics import UsageError, quote


@contextmanager
def joined(backend: Backend) -> Generator[ProcessGroup]:
    """The group of the processes that torchrun started with this one, by the variables that it sets."""
    size, first = os.environ.get("WORLD_SIZE", "1"), os.environ.get("RANK", "0") == "0"
    if not size.isdecimal():
        raise UsageError(
            f"WORLD_SIZE is {quote(size)}, and no number",
            "torchrun sets it, and without it, none is needed",
        )
    ranks = int(size)
    if ranks == 1:
        yield SingleProcess()
    elif backend.init_process_group is not None:
        with backend.init_process_group() as group:
            yield group
    elif first:
        message = (
            f"{ranks} processes were started, and the backend {quote(backend.name)} trains in one"
        )
        raise UsageError(message, "start it without torchrun, or take `--backend torch`")
    else:
        raise SystemExit(2)


@contextmanager
def agreed(group: ProcessGroup, **flags: float) -> Generator[dict[str, float]]:
    """What fails within on one process ends all of them there; the first one that failed says why.

    What is given holds the flags, to be changed within, and after it their sums over all processes.

    >>> with agreed(SingleProcess(), stops=0) as told:
    ...     told["stops"] += 1
    >>> told
    {'stops': 1.0}
    """
    failure: Exception | None = None
    try:
        yield flags
    except Exception as error:
        failure = error
    failed = np.zeros(group.world_size)
    failed[group.rank] = failure is not None
    failed, sums = np.split(
        group.all_reduce(np.concatenate([failed, list(flags.values())])), [group.world_size]
    )
    if failed.any():
        if failure is not None and int(failed.argmax()) == group.rank:
            raise failure
        raise SystemExit(1)
    flags.update(zip(flags, sums.tolist(), strict=True))


def launched() -> tuple[str, ...]:
    """The words that start `archspec` as it was started: by itself, or by torchrun."""
    ranks, machines = os.environ.get("WORLD_SIZE", "1"), os.environ.get("GROUP_WORLD_SIZE", "1")
    if ranks == "1":
        return ("archspec",)
    many = () if machines == "1" else (f"--nnodes={machines}",)
    return (
        "torchrun",
        *many,
        f"--nproc-per-node={os.environ.get('LOCAL_WORLD_SIZE', ranks)}",
        "-m",
        "archspec",
    )
