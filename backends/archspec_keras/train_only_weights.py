"""Names of the weights that only train mode has: those of the layers behind train-only heads."""

from __future__ import annotations

from archspec.ir.graph import Graph, Node, Scope


def train_only_prefixes(graph: Graph) -> tuple[str, ...]:
    """Return the fewest prefixes that cover the names: the outermost scopes with no other layer."""
    owners = [node for node in graph.nodes[1:] if graph.params(node)]
    needed_scopes = {
        scope for node in owners if node.index in graph.inference for scope in node.scope.chain()
    }
    train_only = (node for node in owners if node.index not in graph.inference)
    return tuple(dict.fromkeys(f"{_outermost(node, needed_scopes)}." for node in train_only))


def _outermost(node: Node, needed_scopes: set[Scope]) -> str:
    """Return the path of the largest scope around the node that inference needs nothing of."""
    free = [
        scope
        for scope in node.scope.chain()
        if scope not in needed_scopes and scope.parent is not None
    ]
    return free[-1].path if free else node.path
