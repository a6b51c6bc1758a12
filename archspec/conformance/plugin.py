"""The pytest plugin: `--archspec-backend NAME` adds the suite, run on that backend.

One line of a project's configuration is enough, as in

    [tool.pytest.ini_options]
    addopts = "--archspec-backend=mine"

A name may be a target such as `keras@jax`; the option may be given several times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from archspec.backend import Backend
    from archspec.conformance.backend_under_test import BackendUnderTest

SUITE = Path(__file__).parent / "suite"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("archspec")
    group.addoption(
        "--archspec-backend",
        action="append",
        default=[],
        metavar="NAME",
        help="run the conformance suite on it",
    )
    group.addoption(
        "--archspec-regressions",
        metavar="DIR",
        help="where specs that failed are kept, and tried again from",
    )
    group.addoption(
        "--archspec-profile",
        choices=("quick", "default", "deep"),
        help="how long to search: quick takes under a minute for a backend, deep a night",
    )
    group.addoption(
        "--archspec-seed",
        default="",
        metavar="TEXT",
        help="what random networks are drawn from, such as a commit's hash",
    )


def pytest_configure(config: pytest.Config) -> None:
    profile: str | None = config.getoption("--archspec-profile")
    if profile is not None:
        # Only the suite needs hypothesis, and not every pytest that finds this plugin.
        from archspec.conformance.profile import set_profile

        set_profile(profile)
    suite = [str(path) for path in sorted(SUITE.glob("[a-z]*.py"))]
    # If files are named on the command line, those alone are wanted.
    chosen = config.args_source is pytest.Config.ArgsSource.ARGS
    if _names(config) and not chosen:
        config.args += suite
    if {*suite} <= {*config.args}:
        # Pytest drops a file argument inside a folder argument, and then goes by the file's name.
        config.addinivalue_line("python_files", str(SUITE / "[a-z]*.py"))


def _names(config: pytest.Config) -> list[str]:
    """Return the targets under test, each once: they may be named twice."""
    return list(dict.fromkeys(config.getoption("--archspec-backend") or ()))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if Path(metafunc.definition.path).parent != SUITE:
        return
    from archspec.conformance.suite.networks import KEPT, SHARDS
    from archspec.conformance.traps import TRAPS
    from archspec.ops import OPS

    names = _names(metafunc.config)
    backends = dict.fromkeys(name.partition("@")[0] for name in names)
    fixtures = set(metafunc.fixturenames)
    if "backend_under_test" in fixtures:
        metafunc.parametrize("target", names, scope="session")
    elif "backend" in fixtures:
        metafunc.parametrize("target", backends, scope="session")
    if "kind" in fixtures:
        metafunc.parametrize("kind", list(OPS))
    if "trap" in fixtures:
        metafunc.parametrize("trap", TRAPS, ids=str)
    if "network" in fixtures:
        metafunc.parametrize("network", KEPT, ids=lambda path: path.stem)
    if "shard" in fixtures:
        metafunc.parametrize("shard", range(SHARDS))
    if "regression" in fixtures:
        folder = _regressions(metafunc.config)
        specs = sorted(folder.glob("*.yaml")) if folder else []
        metafunc.parametrize("regression", specs, ids=lambda path: path.stem)


def _regressions(config: pytest.Config) -> Path | None:
    folder: str | None = config.getoption("--archspec-regressions")
    return Path(folder) if folder else None


@pytest.fixture(scope="session")
def opened() -> Iterator[Callable[[str], BackendUnderTest]]:
    """Open targets by name, each in a process that all tests share."""
    from archspec.conformance.backend_under_test import BackendUnderTest

    @cache
    def target(name: str) -> BackendUnderTest:
        return stack.enter_context(BackendUnderTest.remote(name))

    with ExitStack() as stack:
        yield target


@pytest.fixture
def backend_under_test(target: str, opened: Callable[[str], BackendUnderTest]) -> BackendUnderTest:
    """Return the target under test."""
    return opened(target)


@pytest.fixture
def backend(target: str) -> Backend:
    """Return the backend of the target under test."""
    from archspec.backend import load

    return load(target.partition("@")[0])


@pytest.fixture
def backends_under_test(
    request: pytest.FixtureRequest, opened: Callable[[str], BackendUnderTest]
) -> Sequence[BackendUnderTest]:
    """Return all targets under test."""
    return [opened(name) for name in _names(request.config)]


@pytest.fixture
def regressions(request: pytest.FixtureRequest) -> Path | None:
    """Return the folder in which failing specs are kept, if any."""
    return _regressions(request.config)


@pytest.fixture
def archspec_seed(request: pytest.FixtureRequest) -> int:
    """The number that `--archspec-seed` stands for; 0 without one."""
    text: str = request.config.getoption("--archspec-seed") or ""
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") if text else 0
