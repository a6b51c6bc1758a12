"""The located tree: what a YAML text says, each piece with its place. Nothing here knows about networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from archspec.diagnostics import Source, Span


@dataclass(slots=True, eq=False)
class Scalar:
    """A string, number, bool or null; `text` is how it is spelt."""

    value: str | int | float | bool | None
    text: str
    source: Source
    start: tuple[int, int]
    end: tuple[int, int]
    quoted: bool = False

    @property
    def span(self) -> Span:
        return Span(self.source, *self.start, *self.end)

    @property
    def offset(self) -> int:
        """Where the text begins within the span: after the opening quote, if there is one."""
        return int(self.quoted)

    @property
    def verbatim(self) -> bool:
        """Whether the source holds the text character for character, on one line: without escapes or folds."""
        return (
            self.start[0] == self.end[0]
            and self.end[1] - self.start[1] == len(self.text) + 2 * self.quoted
        )

    def part(self, start: int, end: int) -> Scalar:
        """A text from start to end of its own, in its place."""
        text = self.text[start:end]
        if not self.verbatim:
            return Scalar(text, text, self.source, self.start, self.end)
        line, column = self.start
        column += self.offset
        return Scalar(text, text, self.source, (line, column + start), (line, column + end))


@dataclass(slots=True, eq=False)
class List:
    items: list[Tree]
    source: Source
    start: tuple[int, int]
    end: tuple[int, int]

    @property
    def span(self) -> Span:
        return Span(self.source, *self.start, *self.end)


@dataclass(slots=True, eq=False)
class Map:
    """Keys are texts, in the order of the file; `keys` keeps where each stands."""

    entries: dict[str, tuple[Scalar, Tree]]
    source: Source
    start: tuple[int, int]
    end: tuple[int, int]

    @property
    def span(self) -> Span:
        return Span(self.source, *self.start, *self.end)

    def get(self, key: str) -> Tree | None:
        entry = self.entries.get(key)
        return entry[1] if entry else None

    def key(self, key: str) -> Scalar:
        return self.entries[key][0]

    def put(self, key: Scalar, value: Tree) -> None:
        self.entries[key.text] = (key, value)

    def __iter__(self) -> Iterator[tuple[Scalar, Tree]]:
        return iter(self.entries.values())


Tree = Scalar | List | Map


def is_null(tree: Tree | None) -> bool:
    return tree is None or (isinstance(tree, Scalar) and tree.value is None)


def data(tree: Tree) -> Any:
    """The plain Python value of a tree."""
    if isinstance(tree, Scalar):
        return tree.value
    if isinstance(tree, List):
        return [data(item) for item in tree.items]
    return {key.text: data(value) for key, value in tree}


def from_python(value: Any, source: Source, column: int) -> Scalar:
    """A Python value as a scalar that stands from that column to the end of `source`; its reader checks its type."""
    return Scalar(value, str(value), source, (1, column), (1, len(source.text) + 1))


def copy(tree: Tree) -> Tree:
    """A tree of its own, so that an edit at one place cannot reach another."""
    if isinstance(tree, Scalar):
        return tree
    if isinstance(tree, List):
        return List([copy(item) for item in tree.items], tree.source, tree.start, tree.end)
    entries = {text: (key, copy(value)) for text, (key, value) in tree.entries.items()}
    return Map(entries, tree.source, tree.start, tree.end)


def relocate(tree: Tree, span: Span) -> None:
    """Puts all of it at one place."""
    open_ = [tree]
    while open_:
        part = open_.pop()
        part.source, part.start, part.end = span.source, span[1:3], span[3:5]
        open_.extend(_inside(part))


def height(tree: Tree) -> int:
    """How deep it is nested: 0 for a scalar."""
    level, deep = [tree], -1
    while level:
        level, deep = [inner for part in level for inner in _inside(part)], deep + 1
    return deep


def size(tree: Tree) -> int:
    """How many values it holds, itself included."""
    found, open_ = 0, [tree]
    while open_:
        found += 1
        open_.extend(_inside(open_.pop()))
    return found


def _inside(tree: Tree) -> Iterable[Tree]:
    if isinstance(tree, Scalar):
        return ()
    return tree.items if isinstance(tree, List) else (value for _, value in tree)


def describe(tree: Tree | None) -> str:
    """What a tree is, for messages."""
    if isinstance(tree, Map):
        return "a mapping"
    if isinstance(tree, List):
        return "a list"
    from archspec.ir.expr import describe as describe_value

    return describe_value(None if tree is None else tree.value)
