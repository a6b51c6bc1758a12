"""Diagnostics: `model` has the values, `render` shows them, `report` collects them.

>>> from archspec.diagnostics import Report, Source
>>> report = Report()
>>> span = Source("net.yaml", "input: [0]").span(1, 9, 1, 10)
>>> report.error("AS0205", span, "a size is at least 1")
>>> report.failed
True
"""

from archspec.diagnostics.model import (
    Diagnostic,
    Failure,
    MissingPackage,
    Note,
    Severity,
    Source,
    Span,
    UsageError,
    counted,
    did_you_mean,
    library_words,
    quote,
    reason,
    writing,
)
from archspec.diagnostics.report import Report, SpecError

__all__ = [
    "Diagnostic",
    "Failure",
    "MissingPackage",
    "Note",
    "Report",
    "Severity",
    "Source",
    "Span",
    "SpecError",
    "UsageError",
    "counted",
    "did_you_mean",
    "library_words",
    "quote",
    "reason",
    "writing",
]
