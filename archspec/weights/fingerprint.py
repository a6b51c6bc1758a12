"""Fingerprint of a network, which comments and file names do not change.

>>> import archspec
>>> from archspec.weights.fingerprint import differences, fingerprint
>>> ten, two = (archspec.load("lenet5", classes=n).graph for n in (10, 2))
>>> fingerprint(ten) == fingerprint(archspec.load("lenet5").graph)
True
>>> differences(fingerprint(ten), fingerprint(two))
('layers', 'shapes')
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from archspec.ir.graph import Graph, Node

ASPECTS = ("layers", "wiring", "shapes", "heads")
"""The aspects that a fingerprint tells apart: ops and fields, edges, sizes, outputs and losses."""


def fingerprint(graph: Graph) -> str:
    """Return sixteen hexadecimal digits for each aspect, joined by `-`.

    Nodes count by their portable paths, not by their order in the text. How much a head's loss
    weighs and how weights start is not part of it: neither changes what the tensors mean.
    """
    nodes = sorted(graph.nodes, key=lambda node: node.path)
    path = [node.path for node in graph.nodes]
    heads = sorted([head.name, path[head.node], head.loss, head.train_only] for head in graph.heads)
    aspects: tuple[Any, ...] = (
        [[node.path, node.op.kind, _fields(node)] for node in nodes],
        [[node.path, [path[i] for i in node.inputs]] for node in nodes],
        [[node.path, node.shape] for node in nodes],
        [graph.heads[0].name, heads],
    )
    return "-".join(_digest(aspect) for aspect in aspects)


def differences(one: str, other: str) -> tuple[str, ...]:
    """Return the aspects in which two fingerprints differ."""
    pairs = zip(one.split("-"), other.split("-"), strict=False)
    return tuple(aspect for aspect, (a, b) in zip(ASPECTS, pairs, strict=False) if a != b)


def _fields(node: Node) -> dict[str, Any]:
    # An option spelt out as its default says nothing new, and neither does one that ops gain later.
    return node.op.model_dump(mode="json", exclude_defaults=True)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
