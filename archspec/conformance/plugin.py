"""The pytest plugin: `--archspec-backend NAME` adds the suite, held against that backend, to what is collected.

One line of a project's configuration is enough, as in

    [tool.pytest.ini_options]
    addopts = "--archspec-backend=mine"

A name may be a target such as `keras@jax`; the option may be given several times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
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


def pytest_configure(config: pytest.Config) -> None:
    profile: str | None = config.getoption("--archspec-profile")
    if profile is not None:
        # Hypothesis is needed by the suite alone, not by every run of pytest that finds this plugin.
        from archspec.conformance.profile import set_profile

        set_profile(profile)
    suite = [str(path) for path in sorted(SUITE.glob("[a-z]*.py"))]
    # Whoever names files on the command line wants those alone.
    chosen = config.args_source is pytest.Config.ArgsSource.ARGS
    if _names(config) and not chosen:
        config.args += suite
    if {*suite} <= {*config.args}:
        # A file that lies in a folder among the arguments is none to pytest, which then goes by its name.
        config.addinivalue_line("python_files", str(SUITE / "[a-z]*.py"))


def _names(config: pytest.Config) -> list[str]:
    """The targets under test, each once: configuration and command line may both name one."""
    return list(dict.fromkeys(config.getoption("--archspec-backend") or ()))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if Path(metafunc.definition.path).parent != SUITE:
        return
    from archspec.conformance.suite.networks import SHARDS
    from archspec.conformance.traps import TRAPS
    from archspec.ops import OPS

    names = _names(metafunc.config)
    plain = dict.fromkeys(name.partition("@")[0] for name in names)
    wanted = set(metafunc.fixturenames)
    if "backend_under_test" in wanted:
        metafunc.parametrize("target", names, scope="session")
    elif "backend" in wanted:
        metafunc.parametrize("target", plain, scope="session")
    if "kind" in wanted:
        metafunc.parametrize("kind", list(OPS))
    if "trap" in wanted:
        metafunc.parametrize("trap", TRAPS, ids=str)
    if "shard" in wanted:
        metafunc.parametrize("shard", range(SHARDS))
    if "regression" in wanted:
        folder = _regressions(metafunc.config)
        kept = sorted(folder.glob("*.yaml")) if folder else []
        metafunc.parametrize("regression", kept, ids=lambda path: path.stem)


def _regressions(config: pytest.Config) -> Path | None:
    folder: str | None = config.getoption("--archspec-regressions")
    return Path(folder) if folder else None


@pytest.fixture(scope="session")
def opened() -> Iterator[Callable[[str], BackendUnderTest]]:
    """Targets by name, each in a process that all tests share and that ends with the session."""
    from archspec.conformance.backend_under_test import BackendUnderTest

    @cache
    def target(name: str) -> BackendUnderTest:
        return stack.enter_context(BackendUnderTest.remote(name))

    with ExitStack() as stack:
        yield target


@pytest.fixture
def backend_under_test(target: str, opened: Callable[[str], BackendUnderTest]) -> BackendUnderTest:
    """The target under test."""
    return opened(target)


@pytest.fixture
def backend(target: str) -> Backend:
    """Its backend."""
    from archspec.backend import load

    return load(target.partition("@")[0])


@pytest.fixture
def backends_under_test(
    request: pytest.FixtureRequest, opened: Callable[[str], BackendUnderTest]
) -> Sequence[BackendUnderTest]:
    """Every target under test."""
    return [opened(name) for name in _names(request.config)]


@pytest.fixture
def regressions(request: pytest.FixtureRequest) -> Path | None:
    """Where failing specs are kept, if anywhere."""
    return _regressions(request.config)
