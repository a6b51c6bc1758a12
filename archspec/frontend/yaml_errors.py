"""Errors of the YAML parser in our words: where, what is expected there, and the fix."""

from __future__ import annotations

import re
from typing import Any

import yaml

from archspec.diagnostics import Note, Report, Source, Span, quote

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SEPARATE = (
    "separate the entries by commas, and close every bracket; "
    "a text that holds one of `,[]{}` needs quotes"
)
_WORDS = {
    "mapping values are not allowed in this context": (
        "a key cannot stand here",
        (
            "quote a text that holds `: `; "
            "the keys of a mapping begin in one column, each on a line of its own"
        ),
    ),
    "did not find expected ',' or '}'": ("expected `,` or `}`", _SEPARATE),
    "did not find expected ',' or ']'": ("expected `,` or `]`", _SEPARATE),
    "did not find expected key": (
        "expected a key of the mapping",
        "the keys of a mapping begin in one column",
    ),
    "did not find expected '-' indicator": (
        "expected an item of the list",
        "the items of a list begin in one column, each with `- `",
    ),
    "did not find expected node content": (
        "expected a value",
        (
            "close every bracket; "
            "quote a text that begins with one of `,]}`, or with `#`, which starts a comment"
        ),
    ),
    "found character that cannot start any token": ("a value cannot begin so", "quote it"),
    "did not find expected alphabetic or numeric character": (
        "expected the name of an anchor",
        "quote a text that begins with `*` or `&`",
    ),
    "found unexpected end of stream": ("expected the closing quote", "close the quote"),
    "found unknown escape character": (
        "an unknown escape",
        "use single quotes, or `\\\\` for a backslash",
    ),
    "could not find expected ':'": (
        "a key without its colon",
        "write `key: value`; a text over several lines needs quotes",
    ),
    "did not find expected <document start>": (
        "a spec is one document",
        "remove the `...` and what follows",
    ),
}
"""Our message for each of the parser's, and its help."""
_COLLECTIONS = {"mapping": "the mapping", "sequence": "the list", "quoted scalar": "the text"}
"""Our words for what the parser says that it was reading."""


def decode(raw: bytes, name: str, report: Report) -> Source | None:
    """Return the text of a file; None if it is not UTF-8, which is reported where it is not."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        span = Source(name, "").start
        report.error("AS0102", span, "the file is UTF-16", help="save it as UTF-8")
        return None
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return Source(name, raw.decode())
    except UnicodeDecodeError as error:
        source = Source(name, raw.decode("utf-8", "replace"))
        line, column = _line_and_column(raw[: error.start].decode("utf-8", "replace"))
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        span = source.span(line, column, line, column + 1)
        report.error("AS0102", span, message, help="save the file as UTF-8")
        return None


def check_characters(source: Source, report: Report) -> bool:
    """Return True if YAML allows every character; report the first that it does not."""
    forbidden = _FORBIDDEN.search(source.text)
    if forbidden:
        line, column = _line_and_column(source.text[: forbidden.start()])
        message = f"the character U+{ord(forbidden.group()):04X} is not allowed in YAML"
        help = 'remove it, or write it as an escape, such as "\\x1b"'
        report.error("AS0101", source.span(line, column, line, column + 1), message, help=help)
    return forbidden is None


def report_yaml_error(
    error: yaml.YAMLError, source: Source, report: Report, opened: Span | None
) -> None:
    """Report what stopped the parser: where it stopped, or what began before and never ends.

    `opened` is the innermost bracket that was open then.
    """
    problem: str = getattr(error, "problem", None) or "this cannot be read"
    context: str | None = getattr(error, "context", None)
    begun = _span(error, "context_mark", source)
    stopped = _span(error, "problem_mark", source)
    span = stopped or begun or source.start
    lines = source.lines
    line = lines[span.line - 1] if span.line <= len(lines) else ""
    before = line[: span.column - 1]
    here = line[span.column - 1 : span.column]
    message, help = _WORDS.get(problem, (problem, ""))
    if here == "\t" or (not before.strip(" \t") and "\t" in before):
        report.error("AS0103", span, "a tab cannot indent YAML", help="indent with spaces")
        return
    if "expected ':'" in problem and begun:
        span, here = begun, ""  # where the key begins; the parser noticed on a later line
    notes = [Note(text, begun) for text in _begun(context) if begun and begun != span]
    is_at_end = not here and not "".join(lines[span.line :]).strip()
    if is_at_end and (begun or opened):
        # The end of the file says nothing: mark what was still open there.
        inner = begun if begun and begun.line <= len(lines) and begun != span else opened
        span = inner or span
        message = f"this does not end: {message}"
        notes = []
    elif here == "{" and before.endswith("$"):
        help = 'between braces or brackets an expression needs quotes: "${...}"'
    elif here:
        message += f", found {quote(here)}"
    report.error("AS0101", span, message, notes=notes, help=help)


def _begun(context: str | None) -> list[str]:
    """Return a note on what began and does not go on as it has to; none if there is nothing to
    say."""
    named = (ours for theirs, ours in _COLLECTIONS.items() if theirs in (context or ""))
    return [f"{name} begins" for name in named]


def _span(error: yaml.YAMLError, name: str, source: Source) -> Span | None:
    mark: Any = getattr(error, name, None)
    if not mark:
        return None
    return source.span(mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2)


def _line_and_column(before: str) -> tuple[int, int]:
    """Return the line and column of what follows a text."""
    lines = Source("", before).lines
    return len(lines), len(lines[-1]) + 1
