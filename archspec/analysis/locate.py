"""Layers by location: those written at a line of a spec or named by a path, and equal ones grouped.

>>> from archspec.compiler import load
>>> graph = load("lenet5").graph
>>> [node.path for node in at_path(graph, "c1")]
['c1.conv', 'c1.tanh']
>>> owners = at_path(graph, "c1.conv.weight")
>>> [[node.path for node in nodes] for nodes in group_equal(graph, owners)]
[['c1.conv']]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archspec.diagnostics import Span, UsageError, did_you_mean, quote
from archspec.ir.graph import Graph, Node


def at_path(graph: Graph, path: str) -> list[Node]:
    """Return the layer of that path, the owner of the tensor of that name, or a scope's layers.

    Raise `UsageError` where there is none.
    """
    by_name: dict[str, list[Node]] = {}
    for node in graph.nodes[1:]:
        for name in _names(graph, node):
            by_name.setdefault(name, []).append(node)
    if path not in by_name:
        message = f"the network has nothing called {quote(path)}"
        raise UsageError(message, did_you_mean(path, by_name, "paths"))
    return by_name[path]


def _names(graph: Graph, node: Node) -> Iterator[str]:
    yield node.path
    yield from (f"{node.path}.{param.role}" for param in graph.params(node))
    # A merge shares its name with the scope of its branches; that name means the merge alone.
    yield from (scope.path for scope in node.scope.chain() if scope.path not in ("", node.path))


def at_line(graph: Graph, file: str, line: int, column: int | None = None) -> list[Node]:
    """Return the layers written at a line of a file, or inside a block instance written there.

    With a column, return those whose text covers it. Raise `UsageError` where there are
    none.
    """
    nodes: list[Node] = []
    lines_with_layers: set[int] = set()
    for node in graph.nodes[1:]:
        spans = [span for span in _spans(node) if span.source.name == file]
        lines_with_layers.update(span.line for span in spans)
        if any(_covers(span, line, column) for span in spans):
            nodes.append(node)
    if not nodes:
        location = f"{file}:{line}" if column is None else f"{file}:{line}:{column}"
        raise UsageError(f"no layer is written at {location}", _nearest(lines_with_layers, line))
    return nodes


def _spans(node: Node) -> Iterator[Span]:
    yield node.span
    yield from (scope.span for scope in node.scope.chain() if scope.parent is not None)


def _covers(span: Span, line: int, column: int | None) -> bool:
    if column is None:
        return span.line <= line <= span.end_line
    return (span.line, span.column) <= (line, column) < (span.end_line, span.end_column)


def _nearest(lines: set[int], line: int) -> str:
    before = max((n for n in lines if n <= line), default=0)
    after = min((n for n in lines if n > line), default=0)
    if not before and not after:
        return "its layers are written in the files that it extends"
    shown = " and ".join(str(n) for n in (before, after) if n)
    return f"the nearest lines with layers: {shown}"


def group_equal(graph: Graph, nodes: Iterable[Node]) -> list[list[Node]]:
    """Group nodes of equal fields and equal inputs: these compile to the same code, names aside."""
    groups: dict[object, list[Node]] = {}
    for node in nodes:
        groups.setdefault((node.op, graph.inputs(node)), []).append(node)
    return list(groups.values())
