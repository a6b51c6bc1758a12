"""Every trap, by name: where a framework's own default is another, the spec's meaning is kept."""

from __future__ import annotations

from archspec.conformance.backend_under_test import Subject
from archspec.conformance.traps import Trap


def test_trap(subject: Subject, trap: Trap) -> None:
    trap.tried(subject)
