"""Every trap, by name: where a framework's own default is another, the spec's meaning is kept."""

from __future__ import annotations

from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.traps import Trap


def test_trap(backend_under_test: BackendUnderTest, trap: Trap) -> None:
    trap.check(backend_under_test)
