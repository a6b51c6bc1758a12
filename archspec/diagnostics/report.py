"""The report that collects diagnostics, and the error that carries them.

>>> from archspec.diagnostics.model import Source
>>> report = Report()
>>> span = Source("net.yaml", "input: [3, 0]\\n").span(1, 12, 1, 13)
>>> report.error("AS0205", span, "a size is at least 1", label="0")
>>> report.failed, report.diagnostics[0].span
(True, net.yaml:1:12)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NoReturn

from archspec.diagnostics.model import Diagnostic, Note, Severity, Span


class SpecError(Exception):
    """A spec has errors; `diagnostics` holds everything found, warnings included.

    As text it lists code, location and message of each; `render_text` shows them with the source.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "".join(f"\n{d.severity}[{d.code}] {d.span}: {d.message}" for d in self.diagnostics)


@dataclass
class Report:
    """Collects diagnostics; an error repeated in another block instance becomes a note.

    Raise `SpecError` at `limit` errors, or at ten times as many repetitions: more would not help.
    """

    limit: int = 200
    error_count: int = 0
    by_location: dict[tuple[str, Span], Diagnostic] = field(
        default_factory=dict[tuple[str, Span], Diagnostic]
    )
    stack: tuple[Note, ...] = ()  # the block instances around the text being read

    def error(
        self,
        code: str,
        span: Span,
        message: str,
        *,
        label: str = "",
        notes: Iterable[Note] = (),
        help: str = "",
        severity: Severity = "error",
    ) -> None:
        self.error_count += severity == "error"
        key = (code, span)
        first = self.by_location.get(key)
        if first is not None:
            if self.stack and len(first.notes) < 8 and self.stack[0] not in first.notes:
                self.by_location[key] = replace(first, notes=(*first.notes, self.stack[0]))
        elif len(self.by_location) < self.limit:
            self.by_location[key] = Diagnostic(
                code, message, span, severity, label, (*notes, *self.stack), help
            )
        if self.error_count >= 10 * self.limit or (
            severity == "error" and len(self.by_location) >= self.limit
        ):
            raise SpecError(self.diagnostics)

    def stop(self, code: str, span: Span, message: str, *, help: str = "") -> NoReturn:
        """Report an error after which reading cannot continue."""
        self.error(code, span, message, help=help)
        raise SpecError(self.diagnostics)

    def warning(
        self, code: str, span: Span, message: str, *, notes: Iterable[Note] = (), help: str = ""
    ) -> None:
        """Report what is allowed but most likely not meant."""
        self.error(code, span, message, notes=notes, help=help, severity="warning")

    def note(self, code: str, span: Span, message: str, *, help: str = "") -> None:
        """Report what was done otherwise than the text says, without a fault in it."""
        self.error(code, span, message, help=help, severity="note")

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Errors, warnings and notes, in the order of the text."""
        return tuple(sorted(self.by_location.values(), key=lambda d: d.span.key))

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self.by_location.values())

    def raise_if_failed(self) -> None:
        if self.failed:
            raise SpecError(self.diagnostics)
