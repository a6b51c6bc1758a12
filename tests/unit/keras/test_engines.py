"""Every engine of Keras falls into no trap; the suite itself runs on TensorFlow and JAX."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.trap import Trap
from archspec.conformance.traps import TRAPS
from archspec_keras.engines import ENGINES


@pytest.fixture(scope="module")
def on_torch() -> Iterator[BackendUnderTest]:
    with BackendUnderTest.remote("keras@torch") as under_test:
        yield under_test


@pytest.mark.parametrize("trap", TRAPS, ids=str)
def test_keras_on_torch_falls_into_no_trap(trap: Trap, on_torch: BackendUnderTest) -> None:
    trap.check(on_torch)


def test_every_engine_has_the_suite_or_its_traps(pytestconfig: pytest.Config) -> None:
    suite = pytestconfig.getoption("--archspec-backend") or []
    targets = {"keras", *(f"keras@{engine}" for engine in ENGINES if engine != "tensorflow")}
    missing = targets - set(suite)
    assert missing <= ({"keras@torch"} if os.environ.get("ARCHSPEC_PROFILE") != "deep" else set())
