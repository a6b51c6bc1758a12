"""Spans of a source, diagnostics with their location, and failures without one.

>>> source = Source("net.yaml", "input: [3, 0]\\n")
>>> source.span(1, 12, 1, 13)
net.yaml:1:12
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]
# The line ends of the YAML parser, which str.splitlines() does not share.
_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True, eq=False)
class Source:
    """A text that spans point into: a file, or an option of the command line."""

    name: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines without their ends; after a final line break, the last one is empty."""
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
        """Return characters start to end of a one-line span; a longer span as it is."""
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
    """A further remark, with the location that it describes, if any."""

    text: str
    span: Span | None = None

    def __str__(self) -> str:
        return self.text if self.span is None else f"{self.text} at {self.span}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a stable code, what was expected, the location and its label, and a fix."""

    code: str
    message: str
    span: Span
    severity: Severity = "error"
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str = ""


MAX_MESSAGE = 2000
"""Characters of a failure's message."""
MAX_WORDS = 200
"""Characters of what a library says within it."""


class Failure(Exception):
    """An error outside any spec's text: in a file, a folder or a framework."""

    def __init__(self, message: str, help: str = "") -> None:
        if len(message) > MAX_MESSAGE:
            message = f"{message[: MAX_MESSAGE - 4]} ..."
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
    """Return the reason of a system error, as part of a sentence.

    >>> reason(FileNotFoundError(2, "No such file or directory"))
    'no such file or directory'
    """
    return library_words(error).lower()


def library_words(error: BaseException) -> str:
    """Return what a library says of an error, for the end of a sentence: one printable line.

    Libraries put whole files into what they say.

    >>> library_words(ValueError("bad header: \\x00" + 5000 * "a" + "\\nat line 3"))[:24]
    'bad header: \\\\x00aaaaaaaa'
    """
    text = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
    return _shortened(text or type(error).__name__, MAX_WORDS)


@contextmanager
def writing(path: object, help: str = "") -> Generator[None]:
    """Raise a `Failure` that names the path if the block raises an `OSError`.

    >>> with writing("out"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    archspec.diagnostics.model.Failure: cannot write `out`: no space left on device
    """
    try:
        yield
    except OSError as error:
        raise Failure(f"cannot write {quote(path)}: {reason(error)}", help) from error


def did_you_mean(name: str, valid: Iterable[str], what: str = "") -> str:
    """Return a help line for an unknown name: the nearest valid one, or twelve of them.

    At most 500 names are compared.

    >>> did_you_mean("lenet6", ["alexnet", "lenet5", "vgg11"], "networks")
    'known networks: `lenet5`, `alexnet`, `vgg11`'
    """
    from difflib import get_close_matches
    from itertools import islice

    names = list(islice(valid, 500))
    near = get_close_matches(name[:80], names, n=3, cutoff=0.6)
    # `aux1` is not `aux2` misspelt, but one of its kind that is not there.
    of_its_kind = [other for other in near if _without_digits(other) == _without_digits(name)]
    if near and near[0] not in of_its_kind:
        return f"did you mean {quote(near[0])}?"
    if not names:
        return f"there are no {what} here" if what else ""
    names = list(dict.fromkeys([*of_its_kind, *names]))
    listed = ", ".join(quote(n) for n in names[:12])
    more = ", ..." if len(names) > 12 else ""
    return f"known {what or 'names'}: {listed}{more}"


def _without_digits(name: str) -> str:
    """Return a name without its numbers; one that has none is told apart by itself."""
    return re.sub(r"[0-9]+", "0", name) if re.search("[0-9]", name) else f"{name}:"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun, `many` if the plural is not formed by an s.

    >>> counted(1, "class", "classes"), counted(1200, "row")
    ('1 class', '1,200 rows')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def quote(text: object) -> str:
    """Return a name as messages show it: in backticks, on one line, shortened in the middle."""
    return f"`{_shortened(str(text), 80)}`"


def _shortened(text: str, length: int) -> str:
    """Return a text on one line, printable, with its middle left out if it is longer."""
    if not text.isprintable():
        text = text[: 2 * MAX_MESSAGE].encode("unicode_escape").decode()
    if len(text) <= length:
        return text
    start = length // 2
    return f"{text[:start]}...{text[start + 3 - length :]}"
