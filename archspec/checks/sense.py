"""Warnings: what is allowed, and most likely not meant. One function for each code."""

from __future__ import annotations

from archspec.diagnostics import Note, Report, quote
from archspec.ir.check_input import CheckInput


def unused_argument(spec: CheckInput, report: Report) -> None:
    """AS0601."""
    for name, span in spec.unused_arguments:
        report.warning(
            "AS0601",
            span,
            f"nothing uses the argument {quote(name)}",
            help="remove it, or use it in a step",
        )


def unused_block(spec: CheckInput, report: Report) -> None:
    """AS0602."""
    for name, span in spec.unused_blocks:
        report.warning(
            "AS0602",
            span,
            f"nothing uses the block {quote(name)}",
            help="remove it, or use it in a step",
        )


def unused_result(spec: CheckInput, report: Report) -> None:
    """AS0603: a layer that no output needs; only the last of a chain is named."""
    graph = spec.graph
    needed = graph.reachable(graph.heads)
    read = {i for node in graph.nodes for i in node.inputs}
    for node in graph.nodes[1:]:
        if node.index not in needed and node.index not in read:
            help = "merge it, name it under `from`, or remove it"
            report.warning(
                "AS0603", node.span, f"nothing uses the result of {quote(node.path)}", help=help
            )


def two_activations(spec: CheckInput, report: Report) -> None:
    """AS0604: a softmax may follow another activation."""
    for node in spec.graph.nodes[1:]:
        before = spec.graph.nodes[node.inputs[0]]
        if node.op.family == before.op.family == "activation" and node.op.kind != "softmax":
            message = (
                f"{quote(node.op.kind)} follows {quote(before.op.kind)}, two activations in a row"
            )
            report.warning(
                "AS0604",
                node.span,
                message,
                notes=[Note(before.path, before.span)],
                help="remove one of them",
            )
