"""What other tools print for the same network, from their own rules, and where they part from ours.

Each convention is data: for the kinds of layer that a tool counts, how often it counts which quantity. The rules were
read off the tools' sources (fvcore 0.1.5, torchinfo 1.8.0, ptflops 0.7.5, PyTorch 2.13, Keras 3). They are for one
sample in eval mode, of a network written for PyTorch as torchvision writes GoogLeNet: layers and pools as modules,
activations as functions. What a tool has no rule for, it counts as nothing.
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
class Rule:
    """How often a tool counts each quantity of these kinds of layer, and why; `rank` and `where` narrow it down."""

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
    """How a tool comes by its figures.

    `parameters` are those of `all` heads, with the `moving` statistics, only the `weights` of layers, or not printed;
    `operations` is what the tool calls its other figure, None where it prints none.
    """

    operations: str | None
    rules: tuple[Rule, ...]
    parameters: Literal["all", "moving", "weights", "none"]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Why a tool's figure is not ours, and by how much."""

    why: str
    amount: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A tool's figures for a network, and ours; each difference list accounts for the whole of the gap."""

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
_WINDOWS = Rule(
    "conv conv_transpose",
    {"spread": 1},
    "the bias counts, and a transposed convolution by its output's positions",
)
_BIASED = Rule(_LAYERS, {"macs": 1, "bias": 1}, "adding a bias counts one for each output value")

CONVENTIONS: Mapping[str, Convention] = {
    "torch": Convention(
        "FLOPs",
        (Rule(_LAYERS, {"macs": 2}, "a multiply-add counts as two operations"),),
        "none",
        "torch.utils.flop_counter.FlopCounterMode, one forward pass.",
    ),
    "fvcore": Convention(
        "flops",
        (
            Rule(_LAYERS, {"macs": 1}),
            Rule(
                "batch_norm",
                {"input": 1, "affine": 1},
                "batch norm counts two for each value, one without a learnt scale",
            ),
            Rule(
                "layer_norm group_norm instance_norm",
                {"input": 4, "affine": 1},
                "other norms count five for each value, four without a learnt scale",
            ),
            Rule(
                "global_avg_pool adaptive_avg_pool",
                {"input": 1},
                "global and adaptive average pools count their input",
                2,
            ),
            Rule(
                "resize",
                {"output": 1},
                "nearest resizing counts its output",
                2,
                {"mode": "nearest", "coordinates": "asymmetric"},
            ),
            Rule(
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
            Rule("linear", {"params": 1}, "the bias of a linear layer counts"),
            Rule(
                "batch_norm layer_norm group_norm instance_norm prelu",
                {"params": 1},
                "a norm's scale and shift and a prelu's weight count once each, whatever the size of the map",
            ),
        ),
        "all",
        "torchinfo.summary; every weight and bias is multiplied by the positions of a convolution, else by one.",
    ),
    "ptflops": Convention(
        "MACs",
        (
            _BIASED,
            Rule(
                _POOLS,
                {"input": 2},
                "a pool counts its input twice: its module's hook and the function in it both do",
            ),
            Rule(
                "batch_norm group_norm instance_norm",
                {"input": 1, "affine": 1},
                "a norm counts two for each value, one without a learnt scale",
            ),
            Rule("layer_norm", {"input": 1}, "layer norm counts its input"),
            Rule(
                "relu relu6 elu gelu silu softmax",
                {"input": 1},
                "an activation counts its input; written as a module, relu, elu and gelu count twice",
            ),
            Rule("prelu", {"input": 2}, "prelu counts its input twice"),
            Rule("resize", {"output": 1}, "resizing counts its output"),
            Rule(
                "lrn",
                {"input": 4, "border": 1},
                "local response norm counts the square, the padded mean, its scaling and its offset",
            ),
        ),
        "all",
        "ptflops.get_model_complexity_info with its default backend, pytorch; see ptflops-aten for the other.",
    ),
    "ptflops-aten": Convention(
        "MACs", (_BIASED,), "all", "ptflops.get_model_complexity_info with backend='aten'."
    ),
    "keras": Convention(
        None,
        (),
        "moving",
        "keras.Model.summary(): its total takes in the moving statistics, and it prints no operations.",
    ),
    "paper": Convention(
        "ops",
        (Rule(_LAYERS, {"macs": 1}),),
        "weights",
        "As papers count by hand: weights of convolutions and linear layers without their biases, and multiply-adds.",
    ),
}


def figures(subject: Graph | HasGraph, tool: str) -> Figures:
    """What a tool of `CONVENTIONS` prints for a spec or a graph, for one sample.

    >>> from archspec import load
    >>> figures(load("googlenet"), "torch").count
    3165343744
    """
    convention, graph = CONVENTIONS[tool], graph_of(subject)
    whole = stats(graph)
    params = tuple(_params(whole, convention))
    printed = convention.parameters != "none"
    gaps = tuple(_gaps(whole, convention)) if convention.operations else ()
    return Figures(
        tool=tool,
        params=whole.params + sum(gap.amount for gap in params) if printed else None,
        our_params=whole.params,
        params_differ=params,
        operations=convention.operations,
        count=whole.macs + sum(gap.amount for gap in gaps) if convention.operations else None,
        our_macs=whole.macs,
        count_differs=gaps,
        remark=convention.remark,
    )


def _params(whole: Stats, convention: Convention) -> Iterator[Difference]:
    if convention.parameters == "all" and whole.params_with_aux != whole.params:
        yield Difference(
            "train-only heads are part of the model", whole.params_with_aux - whole.params
        )
    if convention.parameters == "moving" and whole.moving:
        yield Difference("moving statistics count as parameters", whole.moving)
    if convention.parameters == "weights":
        layers = ((whole.graph.nodes[layer.node], layer) for layer in whole.layers if layer.params)
        weights = sum(
            p.size
            for node, _ in layers
            if node.op.depth == "layer"
            for p in whole.graph.params(node)
            if p.role == "weight"
        )
        if weights != whole.params:
            yield Difference(
                "biases, and what norms and activations learn, do not count", weights - whole.params
            )


def _gaps(whole: Stats, convention: Convention) -> Iterator[Difference]:
    """The tool's count less our MACs, by the rule that makes it; rules that make none are left out."""
    gaps: dict[str, int] = {}
    for layer in whole.layers:
        node = whole.graph.nodes[layer.node]
        inputs = whole.graph.inputs(node)
        rule = next((r for r in convention.rules if r.covers(node, len(inputs[0]) - 1)), None)
        if rule is None:
            why, count = f"{node.op.kind} does not count", 0
        else:
            amounts = quantities(node, layer.macs, inputs[0], whole.graph.params(node))
            why, count = (
                rule.why,
                sum(factor * amounts[name] for name, factor in rule.counts.items()),
            )
        gaps[why] = gaps.get(why, 0) + count - layer.macs
    yield from (Difference(why, amount) for why, amount in gaps.items() if amount)


def quantities(
    node: Node, macs: int, input: tuple[int, ...], params: tuple[ParamSpec, ...]
) -> dict[Quantity, int]:
    """What rules count of a layer.

    `spread` is its parameters at every position of the output, `bias` its output if it has a bias, `affine` its input
    if it learns a scale, `border` the channels that an LRN pads by, at every position.
    """
    trainable = sum(p.size for p in params if p.trainable)
    positions = math.prod(node.shape[1:])
    return {
        "macs": macs,
        "input": math.prod(input),
        "output": math.prod(node.shape),
        "params": trainable,
        "spread": trainable * positions,
        "bias": math.prod(node.shape) if any(p.role == "bias" for p in params) else 0,
        "affine": math.prod(input) if trainable else 0,
        "border": (getattr(node.op, "size", 1) - 1) * positions if node.op.kind == "lrn" else 0,
    }
