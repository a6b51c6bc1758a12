"""From YAML text to a located tree.

The parser's events are read as YAML 1.2 core, and every expansion is bounded.

>>> from archspec.diagnostics import Report, Source
>>> tree = parse_yaml(Source("net.yaml", "rate: 1e-3\\nanswer: no\\n"), Report())
>>> from archspec.frontend.tree import to_python
>>> to_python(tree)
{'rate': 0.001, 'answer': 'no'}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import yaml

from archspec.diagnostics import Note, Report, Source, Span, quote
from archspec.frontend.tree import Tree, YamlList, YamlMap, YamlScalar, copy_tree, tree_depth
from archspec.frontend.yaml_errors import check_characters, report_yaml_error

MAX_BYTES = 4 * 2**20
MAX_VALUES = 300_000
MAX_DEPTH = 64

_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan"),
    **{sign + word: float(sign + "inf")
       for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
}  # fmt: skip
_parse = cast("Any", yaml.parse)  # pyright: ignore[reportUnknownMemberType]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = re.compile(r"!\S*")
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")


class _Stop(Exception):
    """The text cannot be parsed further; the report says why."""


def resolve_scalar(text: str) -> str | int | float | bool | None:
    """Return a plain scalar's value in the YAML 1.2 core schema.

    A number of over 400 digits stays a text: converting it would take quadratic time.
    """
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


@dataclass
class Budget:
    """The bytes and values that may still be read; a spec and all that it extends share one."""

    bytes: int = MAX_BYTES
    values: int = MAX_VALUES


def parse_yaml(
    source: Source, report: Report, start: int = 0, budget: Budget | None = None
) -> Tree | None:
    """Return the tree of the text's one document; None if it has an error, which is reported.

    The characters of the first line before `start` are skipped, and count in the columns.
    """
    if not check_characters(source, report):
        return None
    builder = _TreeBuilder(source, report, start, budget or Budget())
    try:
        return builder.document()
    except _Stop:
        return None
    except yaml.YAMLError as error:
        report_yaml_error(error, source, report, builder.open[-1] if builder.open else None)
        return None


class _TreeBuilder:
    """Builds the tree from the parser's events.

    `end` is the end of the last value, and so of a block collection; `open` holds the brackets and
    braces around the current value.
    """

    def __init__(self, source: Source, report: Report, start: int, budget: Budget) -> None:
        self.source = source
        self.report = report
        self.start = start
        self.budget = budget
        self.anchors: dict[str, tuple[Tree, int] | None] = {}
        self.end = (1, 1)
        self.open: list[Span] = []
        self.events: Any = _parse(" " * start + source.text[start:], Loader=_Loader)

    def document(self) -> Tree | None:
        next(self.events)  # the stream's start
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            if self.start:  # `--set ADDRESS=`: the value is left out
                return YamlScalar(None, "", self.source, (1, self.start + 1), (1, self.start + 1))
            help = "`archspec init` writes one to start from"
            self.report.error("AS0201", self.source.start, "the spec is empty", help=help)
            return None
        tree = self.node(next(self.events), 0)
        next(self.events)  # the document's end
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            help = "remove the `---` and what follows"
            self.fail("AS0101", event, "a spec is one document", help)
        return tree

    def span(self, event: Any) -> Span:
        return Span(self.source, *_start(event), *_end(event))

    def fail(self, code: str, event: Any, message: str, help: str = "") -> NoReturn:
        """Report an error at an event, and stop."""
        self.report.error(code, self.span(event), message, help=help)
        raise _Stop

    def charge(self, event: Any, values: int) -> None:
        """Take values from the budget; stop when it is used up."""
        self.budget.values -= values
        if self.budget.values >= 0:
            return
        message = f"a spec and what it extends hold at most {MAX_VALUES:,} values"
        help = "use blocks and `repeat`"
        if values > 1:
            self.fail("AS0107", event, f"with its aliases expanded, {message}", help)
        self.fail("AS0106", event, message, help)

    def node(self, event: Any, depth: int) -> Tree:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, depth)
        if depth > MAX_DEPTH:
            self.fail("AS0105", event, f"nested more than {MAX_DEPTH} deep", _SHALLOW)
        before = self.budget.values
        self.charge(event, 1)
        if event.anchor:
            self.anchors[event.anchor] = None
        is_string = isinstance(event, yaml.ScalarEvent) and event.tag in _STRING_TAGS
        if event.tag is not None and not is_string:
            self.report_tag(event)
        if isinstance(event, yaml.ScalarEvent):
            tree: Tree = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            tree = self.sequence(event, depth)
        else:
            tree = self.mapping(event, depth)
        if event.anchor:
            self.anchors[event.anchor] = (tree, before - self.budget.values)
        return tree

    def report_tag(self, event: Any) -> None:
        """Report a tag and stop. It stands before its value, perhaps behind an anchor."""
        line, column = _start(event)
        tag = _TAG.search(self.source.lines[line - 1], column - 1)
        if tag:
            span = self.source.span(line, tag.start() + 1, line, tag.end() + 1)
            help = "a spec needs no tags: remove it"
            self.report.error("AS0104", span, f"unknown tag {quote(tag.group())}", help=help)
        raise _Stop

    def alias(self, event: Any, depth: int) -> Tree:
        anchored = self.anchors.get(event.anchor)
        if anchored is None:
            # An anchor without a tree is that of a collection around the alias.
            problem = "holds itself" if event.anchor in self.anchors else "is not defined"
            help = "a text that begins with `*` needs quotes"
            self.fail("AS0107", event, f"the alias {quote('*' + event.anchor)} {problem}", help)
        tree, values = anchored
        self.charge(event, values)
        if depth + tree_depth(tree) > MAX_DEPTH:
            message = f"with this alias expanded, nested more than {MAX_DEPTH} deep"
            self.fail("AS0105", event, message, _SHALLOW)
        self.end = _end(event)
        return copy_tree(tree)

    def scalar(self, event: Any) -> YamlScalar:
        self.end = _end(event)
        text: str = event.value
        plain = event.implicit[0] and event.tag is None
        value = resolve_scalar(text) if plain else text
        return YamlScalar(
            value, text, self.source, _start(event), self.end, event.style in ("'", '"')
        )

    def sequence(self, begun: Any, depth: int) -> YamlList:
        self.begin(begun)
        items: list[Tree] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, depth + 1))
        self.finish(begun, event)
        return YamlList(items, self.source, _start(begun), self.end)

    def mapping(self, begun: Any, depth: int) -> YamlMap:
        self.begin(begun)
        entries: dict[str, tuple[YamlScalar, Tree]] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            value = self.node(next(self.events), depth + 1)
            if not isinstance(key, YamlScalar):
                help = "quote a key that holds braces or brackets"
                self.report.error("AS0101", key.span, "a key has to be a name", help=help)
            elif key.text in entries:
                notes = [Note("first given", entries[key.text][0].span)]
                message = f"the key {quote(key.text)} is given twice"
                self.report.error("AS0108", key.span, message, notes=notes)
            else:
                entries[key.text] = (key, value)
        self.finish(begun, event)
        return YamlMap(entries, self.source, _start(begun), self.end)

    def begin(self, event: Any) -> None:
        if event.flow_style:
            self.open.append(self.span(event))

    def finish(self, begun: Any, event: Any) -> None:
        """Set the end: behind the brackets of a collection, or at the last value of a block."""
        if begun.flow_style:
            self.open.pop()
            self.end = _end(event)


_SHALLOW = "give the inner part a block of its own"


def _start(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _end(event: Any) -> tuple[int, int]:
    return event.end_mark.line + 1, event.end_mark.column + 1
