"""What of a checkpoint the inference model has no use for: the layers of heads that only training has."""

from __future__ import annotations

from archspec.ir.graph import Graph, Node, Scope


def spare(graph: Graph) -> tuple[str, ...]:
    """How the names of those tensors begin, in as few words as say it: the scopes that lie outside as a whole."""
    owners = [node for node in graph.nodes[1:] if graph.params(node)]
    needed = {
        scope for node in owners if node.index in graph.inference for scope in node.scope.chain()
    }
    outside = (node for node in owners if node.index not in graph.inference)
    return tuple(dict.fromkeys(f"{_outermost(node, needed)}." for node in outside))


def _outermost(node: Node, needed: set[Scope]) -> str:
    free = [
        scope for scope in node.scope.chain() if scope not in needed and scope.parent is not None
    ]
    return free[-1].path if free else node.path
