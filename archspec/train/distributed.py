"""Ranks that train together: how they join, and how they fail and stop as one."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

from archspec._numpy import np
from archspec.backend import Backend
from archspec.backend.process_group import ProcessGroup, SingleProcess
from archspec.diagnostics import UsageError, quote


@contextmanager
def join_group(backend: Backend) -> Generator[ProcessGroup]:
    """Yield the group of the processes that torchrun started, by the variables it sets."""
    size = os.environ.get("WORLD_SIZE", "1")
    is_first = os.environ.get("RANK", "0") == "0"
    if not size.isdecimal():
        message = f"WORLD_SIZE is {quote(size)}, not a number"
        raise UsageError(message, "torchrun sets it; without torchrun, unset it")
    world_size = int(size)
    if world_size == 1:
        yield SingleProcess()
    elif backend.init_process_group is not None:
        with backend.init_process_group() as group:
            yield group
    elif is_first:
        message = (
            f"{world_size} processes were started, "
            f"but the backend {quote(backend.name)} trains in one"
        )
        raise UsageError(message, "start it without torchrun, or use `--backend torch`")
    else:
        # The first process has the message.
        raise SystemExit(2)


@contextmanager
def fail_together(group: ProcessGroup, **flags: float) -> Generator[dict[str, float]]:
    """Run the block on every rank. If any rank raises, all stop; the first failing one re-raises.

    `flags` set inside are summed over the ranks on exit.

    >>> with fail_together(SingleProcess(), stops=0) as flags:
    ...     flags["stops"] += 1
    >>> flags
    {'stops': 1.0}
    """
    failure: Exception | None = None
    try:
        yield flags
    except Exception as error:
        failure = error
    failed = np.zeros(group.world_size)
    failed[group.rank] = failure is not None
    # One all-reduce for both: this runs at every step.
    sums = group.all_reduce(np.concatenate([failed, list(flags.values())]))
    failed, flag_sums = np.split(sums, [group.world_size])
    if failed.any():
        if failure is not None and int(failed.argmax()) == group.rank:
            raise failure
        raise SystemExit(1)
    flags.update(zip(flags, flag_sums.tolist(), strict=True))


def launch_command() -> tuple[str, ...]:
    """Return the words that started `archspec`: its own name, or those of torchrun."""
    world_size = os.environ.get("WORLD_SIZE", "1")
    machines = os.environ.get("GROUP_WORLD_SIZE", "1")
    if world_size == "1":
        return ("archspec",)
    nodes = () if machines == "1" else (f"--nnodes={machines}",)
    per_machine = os.environ.get("LOCAL_WORLD_SIZE", world_size)
    return ("torchrun", *nodes, f"--nproc-per-node={per_machine}", "-m", "archspec")
