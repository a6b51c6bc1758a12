"""Figures that other tools print for the same network, and where they differ from ours.

Each convention is data: for the kinds of layer that a tool counts, how often it counts which
quantity. The rules were read off the tools' sources (fvcore 0.1.5, torchinfo 1.8.0, ptflops 0.7.5,
PyTorch 2.13, Keras 3). They hold for one sample in eval mode, of a network written for PyTorch as
torchvision writes GoogLeNet: layers and pools as modules, activations as functions. A layer that no
rule covers counts as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from archspec.analysis import HasGraph, graph_of
from archspec.analysis.stats import Stats, stats
from archspec.ir.graph import Graph, Node
from archspec.ir.op import ParamSpec

Quantity = Literal["macs", "input", "output", "params", "spread", "bias", "affine", "border"]


@dataclass(frozen=True)
class CountingRule:
    """Factors by which a tool counts the quantities of these kinds of layer, and why.

    `rank` (spatial axes) and `where` (values of fields) restrict the layers that it covers.
    """

    kinds: str
    counts: Mapping[Quantity, int]
    why: str = ""
    rank: int | None = None
    where: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def covers(self, node: Node, rank: int) -> bool:
        return (
            node.op.kind in self.kinds.split()
            and self.rank in (None, rank)
            and all(getattr(node.op, key) == value for key, value in self.where.items())
        )


@dataclass(frozen=True)
class Convention:
    """A tool's way of counting.

    `parameters` says which values the tool counts as parameters: those of `all` heads, trainable
    values and `running_stats`, only the `weights` of layers, or `none`, where it prints no such
    figure. `operations` is the tool's name for its other figure, None where it prints none.
    """

    operations: str | None
    rules: tuple[CountingRule, ...]
    parameters: Literal["all", "running_stats", "weights", "none"]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One reason why a tool's figure differs from ours, and the amount."""

    why: str
    amount: int


@dataclass(frozen=True, slots=True)
class ToolFigures:
    """A tool's figures for a network beside ours; the differences add up to the whole gap."""

    tool: str
    params: int | None
    our_params: int
    params_differ: tuple[Difference, ...]
    operations: str | None
    count: int | None
    our_macs: int
    count_differs: tuple[Difference, ...]
    remark: str


_LAYERS = "conv conv_transpose linear"
_POOLS = "max_pool avg_pool global_avg_pool global_max_pool adaptive_avg_pool adaptive_max_pool"
_WINDOWS = CountingRule(
    "conv conv_transpose",
    {"spread": 1},
    "the bias counts, and a transposed convolution by its output's positions",
)
_BIASED = CountingRule(
    _LAYERS, {"macs": 1, "bias": 1}, "adding a bias counts one for each output value"
)

CONVENTIONS: Mapping[str, Convention] = {
    "torch": Convention(
        "FLOPs",
        (CountingRule(_LAYERS, {"macs": 2}, "a multiply-add counts as two operations"),),
        "none",
        "torch.utils.flop_counter.FlopCounterMode, one forward pass.",
    ),
    "fvcore": Convention(
        "flops",
        (
            CountingRule(_LAYERS, {"macs": 1}),
            CountingRule(
                "batch_norm",
                {"input": 1, "affine": 1},
                "batch norm counts two for each value, one without a learnt scale",
            ),
            CountingRule(
                "layer_norm group_norm instance_norm",
                {"input": 4, "affine": 1},
                "other norms count five for each value, four without a learnt scale",
            ),
            CountingRule(
                "global_avg_pool adaptive_avg_pool",
                {"input": 1},
                "global and adaptive average pools count their input",
                2,
            ),
            CountingRule(
                "resize",
                {"output": 1},
                "nearest resizing counts its output",
                2,
                {"mode": "nearest", "coordinates": "asymmetric"},
            ),
            CountingRule(
                "resize",
                {"output": 4},
                "bilinear resizing counts four for each output value",
                2,
                {"mode": "linear"},
            ),
        ),
        "all",
        "fvcore.nn.FlopCountAnalysis; what it calls flops are multiply-adds.",
    ),
    "torchinfo": Convention(
        "mult-adds",
        (
            _WINDOWS,
            CountingRule("linear", {"params": 1}, "the bias of a linear layer counts"),
            CountingRule(
                "batch_norm layer_norm group_norm instance_norm prelu",
                {"params": 1},
                "a norm's scale and shift and a prelu's weight count once, whatever the map's size",
            ),
        ),
        "all",
        "torchinfo.summary; every weight and bias counts once for each position of a convolution, "
        "else once.",
    ),
    "ptflops": Convention(
        "MACs",
        (
            _BIASED,
            CountingRule(
                _POOLS,
                {"input": 2},
                "a pool counts its input twice: its module's hook and the function in it both do",
            ),
            CountingRule(
                "batch_norm group_norm instance_norm",
                {"input": 1, "affine": 1},
                "a norm counts two for each value, one without a learnt scale",
            ),
            CountingRule("layer_norm", {"input": 1}, "layer norm counts its input"),
            CountingRule(
                "relu relu6 elu gelu silu softmax",
                {"input": 1},
                "an activation counts its input; as modules, relu, elu and gelu count twice",
            ),
            CountingRule("prelu", {"input": 2}, "prelu counts its input twice"),
            CountingRule("resize", {"output": 1}, "resizing counts its output"),
            CountingRule(
                "lrn",
                {"input": 4, "border": 1},
                "local response norm counts the square, the padded mean, its scaling and offset",
            ),
        ),
        "all",
        "ptflops.get_model_complexity_info with its default backend, pytorch; "
        "see ptflops-aten for the other.",
    ),
    "ptflops-aten": Convention(
        "MACs", (_BIASED,), "all", "ptflops.get_model_complexity_info with backend='aten'."
    ),
    "keras": Convention(
        None,
        (),
        "running_stats",
        "keras.Model.summary(): the total includes running statistics; it prints no operations.",
    ),
    "paper": Convention(
        "ops",
        (CountingRule(_LAYERS, {"macs": 1}),),
        "weights",
        "As papers count by hand: weights of convolutions and linear layers without their biases, "
        "and multiply-adds.",
    ),
}


def tool_figures(subject: Graph | HasGraph, tool: str) -> ToolFigures:
    """Return what a tool of `CONVENTIONS` prints for a spec or a graph, for one sample.

    >>> from archspec import load
    >>> tool_figures(load("googlenet"), "torch").count
    3165343744
    """
    convention = CONVENTIONS[tool]
    ours = stats(graph_of(subject))
    param_differences = tuple(_param_differences(ours, convention))
    params: int | None = None
    if convention.parameters != "none":
        params = ours.params + sum(difference.amount for difference in param_differences)
    count: int | None = None
    count_differences: tuple[Difference, ...] = ()
    if convention.operations:
        count_differences = tuple(_count_differences(ours, convention))
        count = ours.macs + sum(difference.amount for difference in count_differences)
    return ToolFigures(
        tool=tool,
        params=params,
        our_params=ours.params,
        params_differ=param_differences,
        operations=convention.operations,
        count=count,
        our_macs=ours.macs,
        count_differs=count_differences,
        remark=convention.remark,
    )


def _param_differences(ours: Stats, convention: Convention) -> Iterator[Difference]:
    match convention.parameters:
        case "all" if ours.params_with_aux != ours.params:
            amount = ours.params_with_aux - ours.params
            yield Difference("train-only heads are part of the model", amount)
        case "running_stats" if ours.running_stats:
            yield Difference("running statistics count as parameters", ours.running_stats)
        case "weights" if (weights := _layer_weights(ours)) != ours.params:
            amount = weights - ours.params
            yield Difference(
                "biases and the parameters of norms and activations do not count", amount
            )
        case _:
            pass


def _layer_weights(ours: Stats) -> int:
    """Return the weights of convolutions and linear layers, without their biases."""
    nodes = (ours.graph.nodes[layer.node] for layer in ours.layers)
    return sum(
        param.size
        for node in nodes
        if node.op.depth == "layer"
        for param in ours.graph.params(node)
        if param.role == "weight"
    )


def _count_differences(ours: Stats, convention: Convention) -> Iterator[Difference]:
    """Yield the tool's count less our MACs, by the rule that makes it; zeros are left out."""
    amounts: dict[str, int] = {}
    for layer in ours.layers:
        node = ours.graph.nodes[layer.node]
        inputs = ours.graph.inputs(node)
        rule = next((r for r in convention.rules if r.covers(node, len(inputs[0]) - 1)), None)
        if rule is None:
            why = f"{node.op.kind} does not count"
            count = 0
        else:
            why = rule.why
            measured = quantities(node, layer.macs, inputs[0], ours.graph.params(node))
            count = sum(factor * measured[name] for name, factor in rule.counts.items())
        amounts[why] = amounts.get(why, 0) + count - layer.macs
    yield from (Difference(why, amount) for why, amount in amounts.items() if amount)


def quantities(
    node: Node, macs: int, input: tuple[int, ...], params: tuple[ParamSpec, ...]
) -> dict[Quantity, int]:
    """Return the quantities of a layer that rules count.

    `spread` is its parameters at every position of the output, `bias` its output if it has a bias,
    `affine` its input if it learns a scale, `border` the channels that an LRN pads by, at every
    position.
    """
    trainable = sum(p.size for p in params if p.trainable)
    positions = math.prod(node.shape[1:])
    output = math.prod(node.shape)
    padded_channels = getattr(node.op, "size", 1) - 1 if node.op.kind == "lrn" else 0
    return {
        "macs": macs,
        "input": math.prod(input),
        "output": output,
        "params": trainable,
        "spread": trainable * positions,
        "bias": output if any(p.role == "bias" for p in params) else 0,
        "affine": math.prod(input) if trainable else 0,
        "border": padded_channels * positions,
    }
