"""Diagnostics for people, for programs and for GitHub.

>>> from archspec.diagnostics import Report, Source
>>> report = Report()
>>> span = Source("net.yaml", "input: [3, 0]\\n").span(1, 12, 1, 13)
>>> report.error("AS0205", span, "a size is at least 1", label="found 0")
>>> print(render_text(report.diagnostics))
error[AS0205]: a size is at least 1
 --> net.yaml:1:12
  |
1 | input: [3, 0]
  |            ^ found 0
<BLANKLINE>
1 error

Text of a spec stays on its line, with control and direction characters spelt out, so that it
cannot steer the terminal or forge a line of the report.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator

from archspec.diagnostics.model import Diagnostic, Span, counted

_WIDTH = 100
"""Columns that a note, or the excerpt of a source line, may take."""
_TAB = 4
_COLOURS = {
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "gutter": "1;34",
    "bold": "1",
    "help": "1;36",
}
_ANNOTATIONS = {"error": "error", "warning": "warning", "note": "notice"}
"""GitHub's commands for each severity."""


def visible(text: str) -> str:
    """Return the text on one line, unprintable characters spelt out: an escape as `\\x1b`.

    >>> visible("a\\tb")
    'a\\\\tb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _spelt(c) for c in text)


def width(text: str) -> int:
    """Return the terminal columns of a text: East Asian characters take two, combining ones none.

    >>> width("ab"), width("\\u6df1\\u5c64"), width("e\\u0301")
    (2, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_char_width, text))


def render_text(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """Return text for people: message, location, the line with carets, notes, help; a summary.

    A note is a single line.
    """
    diagnostics = tuple(diagnostics)
    if not diagnostics:
        return ""
    lines = {source: source.lines for source in {d.span.source for d in diagnostics}}
    parts = ["\n".join(_block(d, lines[d.span.source], color)) for d in diagnostics]
    return "\n\n".join(filter(None, (*parts, summary(diagnostics))))


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """Return a JSON list of objects. What was found is the first note.

    Lines and columns count from 1, and the end column is exclusive.
    """
    return json.dumps([_record(d) for d in diagnostics], indent=2)


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Return a workflow command for each diagnostic, which GitHub shows in a pull request."""
    return "".join(f"{_annotation(d)}\n" for d in diagnostics)


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """Return `2 errors, 1 warning`."""
    severities = [d.severity for d in diagnostics]
    counts = ((severities.count(s), s) for s in ("error", "warning"))
    return ", ".join(counted(n, s) for n, s in counts if n)


def _spelt(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _paint(text: str, colour: str, color: bool) -> str:
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if color and text else text


def _block(diagnostic: Diagnostic, lines: list[str], color: bool) -> Iterator[str]:
    span = diagnostic.span
    gutter = " " * len(str(span.line))
    arrow = _paint("-->", "gutter", color)
    head = _paint(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity, color)
    if diagnostic.severity == "note":
        yield head + visible(f": {'; '.join(filter(None, (diagnostic.message, diagnostic.help)))}")
        return
    yield head + _paint(f": {visible(diagnostic.message)}", "bold", color)
    yield f"{gutter}{arrow} {visible(repr(span))}"
    notes = [("", str(note)) for note in diagnostic.notes]
    if diagnostic.help:
        notes.append(("help: ", diagnostic.help))
    if span.line <= len(lines) and lines != [""]:
        yield from _marked_line(diagnostic, lines, color)
    elif diagnostic.label:  # there is no line to show it under
        notes.insert(0, ("", visible(diagnostic.label)))
    yield from _notes(notes, gutter, color)


def _marked_line(diagnostic: Diagnostic, lines: list[str], color: bool) -> Iterator[str]:
    """Yield the line of a diagnostic with carets below it, and what was found there."""
    span = diagnostic.span
    number = str(span.line)
    text, indent, carets = _excerpt(lines[span.line - 1], span)
    last = _last_line(span, lines)
    ends = f"(to line {last})" if last > span.line else ""
    mark = " ".join(filter(None, ("^" * carets, visible(diagnostic.label), ends)))
    bar = _paint("|", "gutter", color)
    margin = f"{' ' * len(number)} {bar}"
    yield margin
    yield f"{_paint(number, 'gutter', color)} {bar} {text}".rstrip()
    yield f"{margin} {' ' * indent}{_paint(mark, diagnostic.severity, color)}"


def _notes(notes: list[tuple[str, str]], gutter: str, color: bool) -> Iterator[str]:
    """Yield notes and help below a diagnostic's line, wrapped and aligned with it."""
    if notes:
        yield f"{gutter} {_paint('|', 'gutter', color)}"
    equals = _paint("=", "gutter", color)
    for label, note in notes:
        first, *more = _wrapped(label + note, _WIDTH - len(gutter) - 3)
        yield f"{gutter} {equals} {_paint(label, 'help', color)}{first.removeprefix(label)}"
        yield from (f"{gutter}   {line}" for line in more)


def _last_line(span: Span, lines: list[str]) -> int:
    """Return the last line of a span; the parser ends a block where the next node begins."""
    line, column = min(span.end_line, len(lines)), span.end_column
    while line > span.line and not lines[line - 1][: column - 1].partition("#")[0].strip():
        line, column = line - 1, len(lines[line - 2]) + 1
    return line


def _excerpt(line: str, span: Span) -> tuple[str, int, int]:
    """Return the line, cut around the span if very long, and the carets' indent and width."""
    start = min(span.column - 1, len(line))
    end = min(span.end_column - 1, len(line)) if span.end_line == span.line else len(line.rstrip())
    first, last = max(0, start - _WIDTH), min(len(line), start + _WIDTH)
    cells = list(_cells(line[first:last]))
    taken = sum(w for _, w in cells)
    indent = sum(w for _, w in cells[: start - first])
    cut = 0
    while taken > _WIDTH and indent > _WIDTH // 4:
        columns = cells[cut][1]
        taken -= columns
        indent -= columns
        cut += 1
    while taken > _WIDTH:
        taken -= cells.pop()[1]
    carets = sum(w for _, w in cells[start - first : max(end, start + 1) - first])
    before, after = "... " if first + cut else "", " ..." if first + len(cells) < len(line) else ""
    return (
        before + "".join(text for text, _ in cells[cut:]) + after,
        len(before) + indent,
        max(carets, 1),
    )


def _cells(text: str) -> Iterator[tuple[str, int]]:
    """Yield each character as shown, with its columns; a tab ends at a multiple of four."""
    column = 0
    for char in text:
        shown = " " * (_TAB - column % _TAB) if char == "\t" else visible(char)
        taken = width(shown)
        column += taken
        yield shown, taken


def _wrapped(text: str, columns: int) -> list[str]:
    from textwrap import wrap

    paragraphs = text.split("\n")
    return [
        line
        for paragraph in paragraphs
        for line in wrap(
            visible(paragraph), columns, break_long_words=False, break_on_hyphens=False
        )
        or [""]
    ]


def _record(diagnostic: Diagnostic) -> dict[str, object]:
    span = diagnostic.span
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
        "help": diagnostic.help,
        "notes": _remarks(diagnostic),
    }


def _remarks(diagnostic: Diagnostic) -> list[str]:
    return [*([diagnostic.label] if diagnostic.label else []), *map(str, diagnostic.notes)]


def _annotation(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    location = {
        "file": span.source.name,
        "line": span.line,
        "col": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
        "title": diagnostic.code,
    }
    properties = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in location.items())
    help = [f"help: {diagnostic.help}"] if diagnostic.help else []
    lines = (diagnostic.message, *_remarks(diagnostic), *help)
    return f"::{_ANNOTATIONS[diagnostic.severity]} {properties}::{_escaped(chr(10).join(lines))}"


def _escaped(text: str, also: str = "") -> str:
    """Escape text as workflow commands do; `also` are the characters that properties add."""
    codes = {c: f"%{ord(c):02X}" for c in "%\r\n" + also}
    return "".join(codes.get(c) or visible(c) for c in text)
