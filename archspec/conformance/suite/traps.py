"""Every trap by name: a framework's default must not replace what the spec means."""

from __future__ import annotations

from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.trap import Trap


def test_trap(backend_under_test: BackendUnderTest, trap: Trap) -> None:
    trap.check(backend_under_test)
