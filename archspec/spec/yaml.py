"""YAML text to a located tree, read as YAML 1.2 core from the parser's events, with every expansion bounded.

>>> from archspec.diagnostics import Report, Source
>>> tree = read(Source("net.yaml", "rate: 1e-3\\nanswer: no\\n"), Report())
>>> from archspec.spec.tree import data
>>> data(tree)
{'rate': 0.001, 'answer': 'no'}
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from archspec.diagnostics import Note, Report, Source, Span, quote
from archspec.spec.tree import List, Map, Scalar, Tree, copy

MAX_BYTES = 8 * 2**20
MAX_NODES = 1_000_000
MAX_DEPTH = 64

_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), ".Inf": float("inf"), ".INF": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"),
    ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan"),
}  # fmt: skip
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")


class _Stop(Exception):
    """Reading cannot go on; the report says why."""


def resolve(text: str) -> str | int | float | bool | None:
    """A plain scalar's value in the YAML 1.2 core schema; a number of over 400 digits stays text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-.0123456789" and len(text) <= 400:
        if _INT.fullmatch(text):
            return int(text)
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def decode(raw: bytes, name: str, report: Report) -> Source | None:
    """The text of a file; anything but UTF-8 is an error at its place."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        report.error("AS0102", Source(name, "").start, "the file is UTF-16", help="save it as UTF-8")
        return None
    try:
        return Source(name, raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        source = Source(name, raw.decode("utf-8", "replace"))
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        report.error("AS0102", source.span(line, column, line, column + 1), message, help="save the file as UTF-8")
        return None


def read(source: Source, report: Report, start: int = 0) -> Tree | None:
    """The tree of the text's one document; None where the text cannot be read, and then the report says why.

    What stands before `start`, in the first line, is passed over, and counts in the columns.
    """
    if len(source.text) > MAX_BYTES:
        report.error(
            "AS0106", source.start, f"a spec has at most {MAX_BYTES // 2**20} MiB", help="use blocks and `repeat`"
        )
        return None
    try:
        return _Reader(source, report, start).document()
    except _Stop:
        return None
    except yaml.YAMLError as error:
        _syntax(error, source, report)
        return None


def _syntax(error: yaml.YAMLError, source: Source, report: Report) -> None:
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem: str = getattr(error, "problem", None) or getattr(error, "reason", None) or "this cannot be read"
    context: str | None = getattr(error, "context", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    span = source.span(line, column, line, column + 1)
    lines = source.text.splitlines()
    text = lines[line - 1] if line <= len(lines) else ""
    if text[column - 1 : column] == "\t" or (not text[: column - 1].strip(" \t") and "\t" in text[:column]):
        report.error("AS0103", span, "a tab cannot indent YAML", help="indent with spaces")
        return
    alias = "anchor" in problem or "alias" in problem
    report.error("AS0107" if alias else "AS0101", span, problem, notes=[Note(context)] if context else ())


class _Reader:
    def __init__(self, source: Source, report: Report, start: int) -> None:
        self.source, self.report = source, report
        self.nodes = 0
        self.anchors: dict[str, tuple[Tree, int] | None] = {}
        parse: Any = yaml.parse
        self.events = parse(" " * start + source.text[start:], Loader=_Loader)

    def document(self) -> Tree | None:
        next(self.events)  # the stream's start
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            self.fail("AS0201", event, "the spec is empty", "`archspec init` writes one to start from")
        tree = self.node(next(self.events), 0)
        next(self.events)  # the document's end
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            self.fail("AS0101", event, "a spec is one document", "remove the `---` and what follows")
        return tree

    def span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        return Span(self.source, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def fail(self, code: str, event: Any, message: str, help: str = "") -> None:
        self.report.error(code, self.span(event), message, help=help)
        raise _Stop

    def count(self, event: Any, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            if nodes > 1:
                self.fail("AS0107", event, f"aliases expand to more than {MAX_NODES:,} values", "use a block instead")
            self.fail("AS0106", event, f"a spec holds at most {MAX_NODES:,} values", "use blocks and `repeat`")

    def node(self, event: Any, depth: int) -> Tree:
        if isinstance(event, yaml.AliasEvent):
            known = self.anchors.get(event.anchor)
            if known is None:
                inside = event.anchor in self.anchors
                message = "holds itself" if inside else "is not defined"
                self.fail("AS0107", event, f"the alias {quote('*' + event.anchor)} {message}")
                raise _Stop
            self.count(event, known[1])
            return copy(known[0])
        if depth > MAX_DEPTH:
            self.fail("AS0105", event, f"nested more than {MAX_DEPTH} deep")
        before = self.nodes
        self.count(event, 1)
        if event.anchor:
            self.anchors[event.anchor] = None
        if event.tag is not None and not (isinstance(event, yaml.ScalarEvent) and event.tag in _STRING_TAGS):
            self.fail("AS0104", event, f"unknown tag {quote(event.tag)}", "a spec needs no tags: remove it")
        start = (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.ScalarEvent):
            tree: Tree = self.scalar(event, start)
        elif isinstance(event, yaml.SequenceStartEvent):
            tree = self.sequence(start, depth)
        else:
            tree = self.mapping(start, depth)
        if event.anchor:
            self.anchors[event.anchor] = (tree, self.nodes - before)
        return tree

    def scalar(self, event: Any, start: tuple[int, int]) -> Scalar:
        end = (event.end_mark.line + 1, event.end_mark.column + 1)
        text: str = event.value
        plain = bool(event.implicit[0])
        return Scalar(resolve(text) if plain else text, text, self.source, start, end, event.style in ("'", '"'))

    def sequence(self, start: tuple[int, int], depth: int) -> List:
        items: list[Tree] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, depth + 1))
        return List(items, self.source, start, (event.end_mark.line + 1, event.end_mark.column + 1))

    def mapping(self, start: tuple[int, int], depth: int) -> Map:
        entries: dict[str, tuple[Scalar, Tree]] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            value = self.node(next(self.events), depth + 1)
            if not isinstance(key, Scalar):
                self.report.error(
                    "AS0101", key.span, "a key has to be a name", help="quote a key that holds braces or brackets"
                )
            elif key.text in entries:
                notes = [Note("first given", entries[key.text][0].span)]
                self.report.error("AS0108", key.span, f"the key {quote(key.text)} is given twice", notes=notes)
            else:
                entries[key.text] = (key, value)
        return Map(entries, self.source, start, (event.end_mark.line + 1, event.end_mark.column + 1))
