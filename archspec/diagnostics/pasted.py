"""Characters that come along when text is pasted: they look like others, or like nothing.

>>> describe_pasted("stride\u00a0")
'`\\\\xa0` is U+00A0, NO-BREAK SPACE: write a space'
>>> describe_pasted("stride")
''
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from archspec.diagnostics.model import Diagnostic, Note, quote

MAX_LINE = 2000
_PLAIN = {
    "\u00d7": "x",
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'"),
    **dict.fromkeys("\u2044\u2215", "/"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f", ""),
    "\u2217": "*",
    "\u2236": ":",
}
"""The ASCII character that each stands for; none for those that show nothing."""


def describe_pasted(text: str) -> str:
    """Return what the first such character of a text is, and what to write; empty without one."""
    for char in text[:MAX_LINE] if not text.isascii() else "":
        plain = _PLAIN.get(char, unicodedata.normalize("NFKC", char))
        if char.isascii() or plain == char or not plain.isascii():
            continue
        name = unicodedata.name(char, "unnamed")
        instead = {"": "nothing", " ": "a space"}.get(plain, f"`{plain}`")
        return f"{quote(char)} is U+{ord(char):04X}, {name}: write {instead}"
    return ""


def note_pasted(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return the diagnostics; each error gets a note on a pasted character in what it marks.

    Where the YAML itself cannot be read, that is the whole line.
    """
    diagnostics = tuple(diagnostics)
    lines = {source: source.lines for source in {d.span.source for d in diagnostics}}
    return tuple(_with_note(d, lines[d.span.source]) for d in diagnostics)


def _with_note(diagnostic: Diagnostic, lines: list[str]) -> Diagnostic:
    span = diagnostic.span
    if diagnostic.severity != "error" or span.line > len(lines):
        return diagnostic
    text = lines[span.line - 1]
    if not diagnostic.code.startswith("AS01"):
        end = span.end_column - 1 if span.end_line == span.line else None
        text = text[span.column - 1 : end]
    remark = describe_pasted(text)
    notes = (*diagnostic.notes, Note(remark)) if remark else diagnostic.notes
    return replace(diagnostic, notes=notes)
