"""Diagnostics for people, for programs and for GitHub.

>>> from archspec.diagnostics import Report, Source
>>> report = Report()
>>> span = Source("net.yaml", "input: [3, 0]\\n").span(1, 12, 1, 13)
>>> report.error("AS0205", span, "a size is at least 1", found="found 0")
>>> print(render_text(report.diagnostics))
error[AS0205]: a size is at least 1
 --> net.yaml:1:12
  |
1 | input: [3, 0]
  |            ^ found 0
<BLANKLINE>
1 error

Whatever a spec holds is shown on its line, with control and direction characters spelt out, so that no text of a spec
can steer the terminal or forge a line of the report.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator

from archspec.diagnostics import Diagnostic, Span

_WIDTH = 100
"""Columns that a note, or the excerpt of a source line, may take."""
_TAB = 4
_COLOURS = {"error": "1;31", "warning": "1;33", "gutter": "1;34", "bold": "1", "help": "1;36"}


def visible(text: str) -> str:
    """The text on one line, characters that do not print spelt out: an escape as `\\x1b`.

    >>> visible("a\\tb")
    'a\\\\tb'
    """
    return (
        text if text.isprintable() else "".join(c if c.isprintable() else _spelt(c) for c in text)
    )


def width(text: str) -> int:
    """How many columns of a terminal it takes: East Asian characters two, combining ones none.

    >>> width("ab"), width("\\u6df1\\u5c64"), width("e\\u0301")
    (2, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_char_width, text))


def render_text(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """As people read them: the message, the place, the line with carets under what is meant, notes, help, a summary."""
    found = tuple(diagnostics)
    lines = {source: source.lines for source in {d.span.source for d in found}}
    parts = ["\n".join(_block(d, lines[d.span.source], color)) for d in found]
    return "\n\n".join((*parts, summary(found))) if found else ""


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A list of objects; lines and columns count from 1, the end column is exclusive, what was found is a note."""
    return json.dumps([_record(d) for d in diagnostics], indent=2)


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """One workflow command a line for each finding, which GitHub shows at its line of a pull request."""
    return "".join(f"{_annotation(d)}\n" for d in diagnostics)


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`."""
    severities = [d.severity for d in diagnostics]
    counts = ((severities.count(s), s) for s in ("error", "warning"))
    return ", ".join(f"{n} {s}{'s' if n > 1 else ''}" for n, s in counts if n)


def _spelt(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _paint(text: str, colour: str, color: bool) -> str:
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if color and text else text


def _block(diagnostic: Diagnostic, lines: list[str], color: bool) -> Iterator[str]:
    span, number = diagnostic.span, str(diagnostic.span.line)
    gutter = " " * len(number)
    arrow, bar, equals = (_paint(sign, "gutter", color) for sign in ("-->", "|", "="))
    head = _paint(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity, color)
    yield head + _paint(f": {visible(diagnostic.message)}", "bold", color)
    yield f"{gutter}{arrow} {visible(repr(span))}"
    found = visible(diagnostic.found)
    notes = [("", str(note)) for note in diagnostic.notes] + (
        [("help: ", diagnostic.help)] if diagnostic.help else []
    )
    if span.line <= len(lines) and lines != [""]:
        text, indent, carets = _excerpt(lines[span.line - 1], span)
        ends = f"(to line {last})" if (last := _last_line(span, lines)) > span.line else ""
        mark = " ".join(part for part in ("^" * carets, found, ends) if part)
        yield f"{gutter} {bar}"
        yield f"{_paint(number, 'gutter', color)} {bar} {text}".rstrip()
        yield f"{gutter} {bar} {' ' * indent}{_paint(mark, diagnostic.severity, color)}"
    elif found:
        notes.insert(0, ("", found))
    if notes:
        yield f"{gutter} {bar}"
    for label, note in notes:
        first, *more = _wrapped(label + note, _WIDTH - len(gutter) - 3)
        yield f"{gutter} {equals} {_paint(label, 'help', color)}{first.removeprefix(label)}"
        yield from (f"{gutter}   {line}" for line in more)


def _last_line(span: Span, lines: list[str]) -> int:
    """Where a span ends that runs over lines; a block's end stands where the next thing begins, which is not meant."""
    line, column = min(span.end_line, len(lines)), span.end_column
    while line > span.line and not lines[line - 1][: column - 1].partition("#")[0].strip():
        line, column = line - 1, len(lines[line - 2]) + 1
    return line


def _excerpt(line: str, span: Span) -> tuple[str, int, int]:
    """The line as shown, cut around the span where it is very long; the columns before the carets, and under them."""
    start = min(span.column - 1, len(line))
    end = min(span.end_column - 1, len(line)) if span.end_line == span.line else len(line.rstrip())
    first, last = max(0, start - _WIDTH), min(len(line), start + _WIDTH)
    cells = list(_cells(line[first:last]))
    taken, indent = sum(w for _, w in cells), sum(w for _, w in cells[: start - first])
    cut = 0
    while taken > _WIDTH and indent > _WIDTH // 4:
        taken, indent, cut = taken - cells[cut][1], indent - cells[cut][1], cut + 1
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
    """Each character as it is shown and the columns that it takes; a tab reaches to the next multiple of four."""
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
    return [*([diagnostic.found] if diagnostic.found else []), *map(str, diagnostic.notes)]


def _annotation(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    place = {
        "file": span.source.name,
        "line": span.line,
        "col": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
        "title": diagnostic.code,
    }
    properties = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in place.items())
    help = [f"help: {diagnostic.help}"] if diagnostic.help else []
    lines = (diagnostic.message, *_remarks(diagnostic), *help)
    return f"::{diagnostic.severity} {properties}::{_escaped(chr(10).join(lines))}"


def _escaped(text: str, also: str = "") -> str:
    """As workflow commands escape, in properties colon and comma too; other control characters are spelt out."""
    codes = {c: f"%{ord(c):02X}" for c in "%\r\n" + also}
    return "".join(codes.get(c) or visible(c) for c in text)
