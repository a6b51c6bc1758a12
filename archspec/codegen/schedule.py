"""What a class or a function calls: which of its parts, in which order, and the names of what it is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from archspec.codegen.module_tree import Instance, Part
from archspec.ir.graph import Graph


def needed(steps: Sequence[Part], outputs: Collection[int]) -> list[Part]:
    """The steps that these values need."""
    wanted = set(outputs)
    kept: list[Part] = []
    for part in reversed(steps):
        if wanted & set(part.outputs):
            wanted.update(part.operands)
            kept.append(part)
    return kept[::-1]


def ordered(instance: Instance, late: Collection[int]) -> tuple[list[Part], int]:
    """The steps that the outputs need, at the end those that `late` outputs alone need; and how many come before."""
    steps, outputs = list(instance.steps()), instance.outputs
    first = dict.fromkeys(needed(steps, [value for value in outputs if value not in late]))
    return [*first, *(part for part in needed(steps, outputs) if part not in first)], len(first)


def late_outputs(graph: Graph) -> frozenset[int]:
    """The values that are outputs in train mode alone."""
    early = {head.node for head in graph.heads if not head.train_only}
    return frozenset(head.node for head in graph.heads) - early


def entering(instance: Instance) -> list[str]:
    """What values are called that come from outside."""
    return ["x", *("skip" if n == 1 else f"skip_{n}" for n in range(1, len(instance.inputs)))]
