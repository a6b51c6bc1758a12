"""The order of calls in a class or function, and the names of its inputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from archspec.codegen.module_tree import Instance, TreeNode
from archspec.ir.graph import Graph


def needed_calls(calls: Sequence[TreeNode], outputs: Collection[int]) -> list[TreeNode]:
    """Return the calls that these values depend on, in order."""
    # Backwards, so that a call is met after all that read its values.
    needed_values = set(outputs)
    needed: list[TreeNode] = []
    for call in reversed(calls):
        if needed_values & set(call.outputs):
            needed_values.update(call.operands)
            needed.append(call)
    return needed[::-1]


def ordered_calls(instance: Instance, train_only: Collection[int]) -> tuple[list[TreeNode], int]:
    """Return the calls that the outputs need, and how many of them eval mode needs.

    Calls that only the `train_only` outputs need come last.
    """
    calls = list(instance.calls())
    outputs = instance.outputs
    in_eval = dict.fromkeys(
        needed_calls(calls, [value for value in outputs if value not in train_only])
    )
    in_train = [call for call in needed_calls(calls, outputs) if call not in in_eval]
    return [*in_eval, *in_train], len(in_eval)


def train_only_outputs(graph: Graph) -> frozenset[int]:
    """Return the values that are outputs in train mode only."""
    always = {head.node for head in graph.heads if not head.train_only}
    return frozenset(head.node for head in graph.heads) - always


def input_names(instance: Instance) -> list[str]:
    """Return the names of an instance's inputs: `x`, `skip`, `skip_2`, ..."""
    skips = ("skip" if n == 1 else f"skip_{n}" for n in range(1, len(instance.inputs)))
    return ["x", *skips]
