"""Warnings of code that is allowed but most likely not meant."""

from __future__ import annotations

from archspec.checks.registry import check
from archspec.diagnostics import Note, Report, quote
from archspec.ir.check_input import CheckInput

MAX_MOMENTUM = 0.5
"""The largest share of the batch in running statistics that is likely meant."""


@check("AS0601")
def unused_argument(spec: CheckInput, report: Report) -> None:
    """AS0601: an argument that no expression reads."""
    for name, span in spec.unused_arguments:
        message = f"nothing uses the argument {quote(name)}"
        report.warning("AS0601", span, message, help="remove it, or use it in a step")


@check("AS0602")
def unused_block(spec: CheckInput, report: Report) -> None:
    """AS0602: a block that no step names."""
    for name, span in spec.unused_blocks:
        message = f"nothing uses the block {quote(name)}"
        report.warning("AS0602", span, message, help="remove it, or use it in a step")


@check("AS0603")
def unused_result(spec: CheckInput, report: Report) -> None:
    """AS0603: a layer that no output needs; of a chain of them, only the last is reported."""
    graph = spec.graph
    needed = graph.reachable(graph.heads)
    read = {i for node in graph.nodes for i in node.inputs}
    help = "merge it, name it under `from`, or remove it"
    for node in graph.nodes[1:]:
        if node.index not in needed and node.index not in read:
            message = f"nothing uses the result of {quote(node.path)}"
            report.warning("AS0603", node.span, message, help=help)


@check("AS0674")
def keras_momentum(spec: CheckInput, report: Report) -> None:
    """AS0674: a batch norm whose momentum is that of Keras, the share of the past."""
    for node in spec.graph.nodes:
        momentum = getattr(node.op, "momentum", 0.0)
        if momentum > MAX_MOMENTUM:
            message = (
                f"with momentum {momentum:g}, the running statistics of {quote(node.path)} "
                f"are nearly those of the last batch"
            )
            help = "here it is the share of the batch, as in PyTorch"
            if momentum < 1:
                help += (
                    f"; in Keras it is that of the past: for Keras' {momentum:g}, "
                    f"write {1 - momentum:.6g}"
                )
            report.warning("AS0674", node.span, message, help=help)


@check("AS0604")
def two_activations(spec: CheckInput, report: Report) -> None:
    """AS0604: an activation of an activation; a softmax may follow another one."""
    for node in spec.graph.nodes[1:]:
        before = spec.graph.nodes[node.inputs[0]]
        if node.op.family == before.op.family == "activation" and node.op.kind != "softmax":
            kinds = f"{quote(node.op.kind)} follows {quote(before.op.kind)}"
            report.warning(
                "AS0604",
                node.span,
                f"{kinds}, two activations in a row",
                notes=[Note(before.path, before.span)],
                help="remove one of them",
            )
