"""Settings for every test: what users have and test machines often not, how hard hypothesis searches, quick workers.

`ARCHSPEC_PROFILE=deep` searches long.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers import effort, forked

# pytest-xdist shares out the cores; torch reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Users' Python caches bytecode, which must not stand in for what was rebuilt; so does ours, and that of what we start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Builds are recorded in the user's state folder. Workers of pytest-xdist share that of the process that started them.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="archspec-state-")
    atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# Whole specs are slow to draw, and there is no deadline either.
slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=slow)
settings.register_profile("deep", max_examples=3400, deadline=None, suppress_health_check=slow)
settings.load_profile(os.environ.get("ARCHSPEC_PROFILE", "ci"))


# To import it, as the search for doctests does, is to import the frameworks and to forget Keras.
collect_ignore = ["helpers/preloaded.py"]


@pytest.fixture(scope="session", autouse=True)
def _forked_workers() -> None:
    """Fork the workers of `verify` from a process that has the frameworks: each imports them otherwise."""
    from archspec.equivalence import remote

    quick = {**vars(subprocess), "Popen": forked.Popen}
    remote.subprocess = SimpleNamespace(**quick)  # pyright: ignore[reportAttributeAccessIssue]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send what this process tried to the one that started it, if pytest-xdist did."""
    sent: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if sent is not None:
        sent["tried"] = dict(effort.TRIED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    effort.TRIED.update(getattr(node, "workeroutput", {}).get("tried", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many inputs were made up and tried."""
    if effort.TRIED:
        counts = [f"{count:,} {kind}" for kind, count in sorted(effort.TRIED.items())]
        terminalreporter.write_line(f"tried: {', '.join(counts)}")
