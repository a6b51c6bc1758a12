"""What went wrong and where. `model` has the values, `codes` their titles, `render` turns them into text.

>>> from archspec.diagnostics import Report, Source
>>> report = Report()
>>> report.error("AS0205", Source("net.yaml", "input: [0]").span(1, 9, 1, 10), "a size is at least 1")
>>> report.failed
True
"""

from archspec.diagnostics.model import (
    Diagnostic,
    Failure,
    MissingPackage,
    Note,
    Report,
    Severity,
    Source,
    Span,
    SpecError,
    UsageError,
    did_you_mean,
    quote,
    reason,
    writing,
)

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
    "did_you_mean",
    "quote",
    "reason",
    "writing",
]
