"""What went wrong and where: spans, diagnostics, and the collector that gathers them.

>>> source = Source("net.yaml", "input: [3, 0]\\n")
>>> report = Report()
>>> report.error("AS0205", source.span(1, 12, 1, 13), "a size is at least 1", found="0")
>>> report.diagnostics[0].span
net.yaml:1:12
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, NoReturn

Severity = Literal["error", "warning"]
_BREAK = re.compile(
    r"\r\n|[\n\r\x85\u2028\u2029]"
)  # what the YAML parser counts as the end of a line


@dataclass(frozen=True, eq=False)
class Source:
    """A text that spans point into: a file, or an option of the command line."""

    name: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The text by lines, without their ends; one that ends in a line break has an empty last line."""
        return _BREAK.split(self.text)

    def span(self, line: int, column: int, end_line: int, end_column: int) -> Span:
        return Span(self, line, column, end_line, end_column)

    @property
    def start(self) -> Span:
        return Span(self, 1, 1, 1, 1)


class Span(NamedTuple):
    """A stretch of a source; lines and columns count from 1, the end column is exclusive."""

    source: Source
    line: int
    column: int
    end_line: int
    end_column: int

    def __repr__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

    @property
    def key(self) -> tuple[str, int, int]:
        return (self.source.name, self.line, self.column)

    def part(self, start: int, end: int) -> Span:
        """The characters from start to end of a one-line span; the whole span if it has more lines."""
        if self.end_line != self.line or self.column + end > self.end_column:
            return self
        return Span(
            self.source,
            self.line,
            self.column + start,
            self.line,
            self.column + max(end, start + 1),
        )


@dataclass(frozen=True, slots=True)
class Note:
    """A further remark, with the place it speaks of where there is one."""

    text: str
    span: Span | None = None

    def __str__(self) -> str:
        return self.text if self.span is None else f"{self.text} at {self.span}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a stable code, what was expected, where, what was found there, and the way out."""

    code: str
    message: str
    span: Span
    severity: Severity = "error"
    found: str = ""
    notes: tuple[Note, ...] = ()
    help: str = ""


class Failure(Exception):
    """An error outside any spec's text: in a file, a folder or a framework."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        return f"{self.message}; {self.help}" if self.help else self.message


class UsageError(Failure):
    """A request that cannot be meant: an unknown name, an option out of its range."""


class MissingPackage(Failure):
    """A package that the request needs is not installed."""


def reason(error: Exception) -> str:
    """Why the system refused something, as part of a sentence.

    >>> reason(FileNotFoundError(2, "No such file or directory"))
    'no such file or directory'
    """
    return (
        getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
    ).lower()


@contextmanager
def writing(path: object, help: str = "") -> Generator[None]:
    """Raises a `Failure` that names the path where the system refuses what is done within.

    >>> with writing("out"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    archspec.diagnostics.model.Failure: cannot write `out`: no space left on device
    """
    try:
        yield
    except OSError as error:
        raise Failure(f"cannot write {quote(path)}: {reason(error)}", help) from error


class SpecError(Exception):
    """A spec is at fault; `diagnostics` holds everything that was found, warnings included."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "".join(f"\n{d.severity}[{d.code}] {d.span}: {d.message}" for d in self.diagnostics)


@dataclass
class Report:
    """Collects diagnostics; the same fault met again in another block instance becomes a note.

    Where `limit` errors are found, or one is met ten times as often, reading on would teach nothing: `SpecError`.
    """

    limit: int = 200
    error_count: int = 0
    by_location: dict[tuple[str, Span], Diagnostic] = field(
        default_factory=dict[tuple[str, Span], Diagnostic]
    )
    stack: tuple[Note, ...] = ()  # the block instances around the place being read

    def error(
        self,
        code: str,
        span: Span,
        message: str,
        *,
        found: str = "",
        notes: Iterable[Note] = (),
        help: str = "",
        severity: Severity = "error",
    ) -> None:
        self.error_count += severity == "error"
        key = (code, span)
        known = self.by_location.get(key)
        if known is not None:
            if self.stack and len(known.notes) < 8 and self.stack[0] not in known.notes:
                self.by_location[key] = replace(known, notes=(*known.notes, self.stack[0]))
        elif len(self.by_location) < self.limit:
            self.by_location[key] = Diagnostic(
                code, message, span, severity, found, (*notes, *self.stack), help
            )
        if self.error_count >= 10 * self.limit or (
            severity == "error" and len(self.by_location) >= self.limit
        ):
            raise SpecError(self.diagnostics)

    def stop(self, code: str, span: Span, message: str, *, help: str = "") -> NoReturn:
        """Reports an error that nothing can be read after."""
        self.error(code, span, message, help=help)
        raise SpecError(self.diagnostics)

    def warning(
        self, code: str, span: Span, message: str, *, notes: Iterable[Note] = (), help: str = ""
    ) -> None:
        self.error(code, span, message, notes=notes, help=help, severity="warning")

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything found, in the order of the text, errors and warnings alike."""
        return tuple(sorted(self.by_location.values(), key=lambda d: d.span.key))

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self.by_location.values())

    def raise_if_failed(self) -> None:
        if self.failed:
            raise SpecError(self.diagnostics)


def did_you_mean(name: str, known: Iterable[str], what: str = "") -> str:
    """A help line for an unknown name: the nearest of the first 500 known ones, or all of them when they are few."""
    from difflib import get_close_matches
    from itertools import islice

    names = list(islice(known, 500))
    near = get_close_matches(name[:80], names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {quote(near[0])}?"
    if not names:
        return f"there are no {what} here" if what else ""
    shown = ", ".join(quote(n) for n in names[:12]) + (", ..." if len(names) > 12 else "")
    return f"known {what or 'names'}: {shown}"


def quote(text: object) -> str:
    """A name as messages show it: in backticks, on one line, its middle left out where it is very long."""
    shown = (
        str(text).encode("unicode_escape").decode() if not str(text).isprintable() else str(text)
    )
    return f"`{shown if len(shown) <= 80 else f'{shown[:40]}...{shown[-37:]}'}`"
