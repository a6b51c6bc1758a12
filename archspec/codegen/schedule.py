"""What a class or a function calls: which of its parts, in which order, and the names of what it is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from archspec.codegen.module_tree import Instance, TreeNode
from archspec.ir.graph import Graph


def needed_calls(steps: Sequence[TreeNode], outputs: Collection[int]) -> list[TreeNode]:
    """The steps that these values need."""
    wanted = set(outputs)
    kept: list[TreeNode] = []
    for part in reversed(steps):
        if wanted & set(part.outputs):
            wanted.update(part.operands)
            kept.append(part)
    return kept[::-1]


def ordered_calls(instance: Instance, train_only: Collection[int]) -> tuple[list[TreeNode], int]:
    """The steps that the outputs need, at the end those that `late` outputs alone need; and how many come before."""
    steps, outputs = list(instance.calls()), instance.outputs
    first = dict.fromkeys(
        needed_calls(steps, [value for value in outputs if value not in train_only])
    )
    return [*first, *(part for part in needed_calls(steps, outputs) if part not in first)], len(
        first
    )


def train_only_outputs(graph: Graph) -> frozenset[int]:
    """The values that are outputs in train mode alone."""
    early = {head.node for head in graph.heads if not head.train_only}
    return frozenset(head.node for head in graph.heads) - early


def input_names(instance: Instance) -> list[str]:
    """What values are called that come from outside."""
    return ["x", *("skip" if n == 1 else f"skip_{n}" for n in range(1, len(instance.inputs)))]
