"""Which layers a place in a spec means: those written at a line, or those of a neutral path; and which are alike.

>>> from archspec.compiler import load
>>> graph = load("lenet5").graph
>>> [node.path for node in at_path(graph, "c1")]
['c1.conv', 'c1.tanh']
>>> [[node.path for node in nodes] for nodes in alike(graph, at_path(graph, "c1.conv.weight"))]
[['c1.conv']]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archspec.diagnostics import Failure, Span, did_you_mean, quote
from archspec.ir.graph import Graph, Node


def at_path(graph: Graph, path: str) -> list[Node]:
    """The layer of that neutral path, or that owns the tensor of that name, or all layers of a scope.

    Raises `Failure`, exit code 2, where there is none.
    """
    known: dict[str, list[Node]] = {}
    for node in graph.nodes[1:]:
        for name in _names(graph, node):
            known.setdefault(name, []).append(node)
    if path not in known:
        raise Failure(
            f"the network has nothing called {quote(path)}", did_you_mean(path, known, "paths"), 2
        )
    return known[path]


def _names(graph: Graph, node: Node) -> Iterator[str]:
    yield node.path
    yield from (f"{node.path}.{param.role}" for param in graph.params(node))
    # A merge has the name of its branches' scope, and is not meant with it.
    yield from (scope.path for scope in node.scope.chain() if scope.path not in ("", node.path))


def at_line(graph: Graph, file: str, line: int, column: int | None = None) -> list[Node]:
    """The layers that are written at a line of a file, or within what is written there, as in an instance of a block.

    With a column, those whose words cover it. Raises `Failure`, exit code 2, where there are none.
    """
    found: list[Node] = []
    near: set[int] = set()
    for node in graph.nodes[1:]:
        spans = [span for span in _spans(node) if span.source.name == file]
        near.update(span.line for span in spans)
        if any(_covers(span, line, column) for span in spans):
            found.append(node)
    if not found:
        place = f"{file}:{line}" if column is None else f"{file}:{line}:{column}"
        raise Failure(f"no layer is written at {place}", _nearest(near, line), 2)
    return found


def _spans(node: Node) -> Iterator[Span]:
    yield node.span
    yield from (scope.span for scope in node.scope.chain() if scope.parent is not None)


def _covers(span: Span, line: int, column: int | None) -> bool:
    if column is None:
        return span.line <= line <= span.end_line
    return (span.line, span.column) <= (line, column) < (span.end_line, span.end_column)


def _nearest(lines: set[int], line: int) -> str:
    before, after = (
        max((n for n in lines if n <= line), default=0),
        min((n for n in lines if n > line), default=0),
    )
    shown = " and ".join(str(n) for n in (before, after) if n)
    return (
        f"the nearest with layers: {shown}"
        if shown
        else "its layers are written in the files that it extends"
    )


def alike(graph: Graph, nodes: Iterable[Node]) -> list[list[Node]]:
    """The same nodes by what they compute: those of equal fields and equal inputs become the same but for names."""
    groups: dict[object, list[Node]] = {}
    for node in nodes:
        groups.setdefault((node.op, graph.inputs(node)), []).append(node)
    return list(groups.values())
