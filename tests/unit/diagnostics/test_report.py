"""The report: one finding per mistake and place, however often it is met."""

from __future__ import annotations

from archspec.diagnostics import Note, Source
from archspec.diagnostics.report import Report

SPAN = Source("net.yaml", "input: [3, 0]\n").span(1, 12, 1, 13)


def test_a_mistake_met_again_leaves_the_first_finding() -> None:
    report = Report()
    report.stack = (Note("in block unit, instantiated as u0"),)
    report.error("AS0205", SPAN, "a size is at least 1")
    first = report.diagnostics
    report.stack = ()
    report.error("AS0205", SPAN, "another message")
    assert report.diagnostics == first
