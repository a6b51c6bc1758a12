"""The located tree: the values of a YAML text, each with its span. It knows nothing of networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from archspec.diagnostics import Source, Span


@dataclass(slots=True, eq=False)
class YamlScalar:
    """A string, number, bool or null; `text` is its spelling."""

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
        """The start of the text within the span: after the opening quote, if there is one."""
        return int(self.quoted)

    @property
    def verbatim(self) -> bool:
        """True if the source holds the text as it is, on one line: without escapes or folds."""
        return (
            self.start[0] == self.end[0]
            and self.end[1] - self.start[1] == len(self.text) + 2 * self.quoted
        )

    def part(self, start: int, end: int) -> YamlScalar:
        """Return a part of the text, with the span of that part."""
        text = self.text[start:end]
        if not self.verbatim:
            return YamlScalar(text, text, self.source, self.start, self.end)
        line, column = self.start
        column += self.offset
        return YamlScalar(text, text, self.source, (line, column + start), (line, column + end))


@dataclass(slots=True, eq=False)
class YamlList:
    items: list[Tree]
    source: Source
    start: tuple[int, int]
    end: tuple[int, int]

    @property
    def span(self) -> Span:
        return Span(self.source, *self.start, *self.end)


@dataclass(slots=True, eq=False)
class YamlMap:
    """Entries by key, in the order of the file; each key keeps its own span."""

    entries: dict[str, tuple[YamlScalar, Tree]]
    source: Source
    start: tuple[int, int]
    end: tuple[int, int]

    @property
    def span(self) -> Span:
        return Span(self.source, *self.start, *self.end)

    def get(self, key: str) -> Tree | None:
        entry = self.entries.get(key)
        return entry[1] if entry else None

    def key(self, key: str) -> YamlScalar:
        return self.entries[key][0]

    def put(self, key: YamlScalar, value: Tree) -> None:
        self.entries[key.text] = (key, value)

    def __iter__(self) -> Iterator[tuple[YamlScalar, Tree]]:
        return iter(self.entries.values())


Tree = YamlScalar | YamlList | YamlMap


def is_null(tree: Tree | None) -> bool:
    return tree is None or (isinstance(tree, YamlScalar) and tree.value is None)


def to_python(tree: Tree) -> Any:
    """Return the plain Python value of a tree."""
    if isinstance(tree, YamlScalar):
        return tree.value
    if isinstance(tree, YamlList):
        return [to_python(item) for item in tree.items]
    return {key.text: to_python(value) for key, value in tree}


def from_python(value: Any, source: Source, column: int) -> YamlScalar:
    """Return a Python value as a scalar, from that column to the end of `source`.

    Its type is not checked: that is left to whatever reads it.
    """
    return YamlScalar(value, str(value), source, (1, column), (1, len(source.text) + 1))


def copy_tree(tree: Tree) -> Tree:
    """Return a copy, so that an edit of one alias or variant cannot change another."""
    if isinstance(tree, YamlScalar):
        return tree
    if isinstance(tree, YamlList):
        return YamlList([copy_tree(item) for item in tree.items], tree.source, tree.start, tree.end)
    entries = {text: (key, copy_tree(value)) for text, (key, value) in tree.entries.items()}
    return YamlMap(entries, tree.source, tree.start, tree.end)


def relocate(tree: Tree, span: Span) -> None:
    """Give every part of a tree the same span."""
    stack = [tree]
    while stack:
        part = stack.pop()
        part.source, part.start, part.end = span.source, span[1:3], span[3:5]
        stack.extend(_children(part))


def tree_depth(tree: Tree) -> int:
    """Return how deep a tree is nested: 0 for a scalar."""
    # Level by level: an alias of an alias may be deeper than Python recurses.
    depth = -1
    level = [tree]
    while level:
        level = [inner for part in level for inner in _children(part)]
        depth += 1
    return depth


def tree_size(tree: Tree) -> int:
    """Return how many values a tree holds, itself included."""
    count = 0
    stack = [tree]
    while stack:
        count += 1
        stack.extend(_children(stack.pop()))
    return count


def _children(tree: Tree) -> Iterable[Tree]:
    if isinstance(tree, YamlScalar):
        return ()
    return tree.items if isinstance(tree, YamlList) else (value for _, value in tree)


def describe_tree(tree: Tree | None) -> str:
    """Return the words for a tree in messages."""
    if isinstance(tree, YamlMap):
        return "a mapping"
    if isinstance(tree, YamlList):
        return "a list"
    from archspec.ir.expr import describe as describe_value

    return describe_value(None if tree is None else tree.value)
