"""What each op becomes: one expression over the values `v` and the tensors `w`, both by the spec's own names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archspec.codegen.literals import literal
from archspec.codegen.printer import BinOp, Call, Code, List
from archspec.ir.graph import Graph, Node
from archspec.ir.types import Pads, Shape
from archspec.ops.window import extent


@dataclass(frozen=True)
class Site:
    """One node of a graph, and how the emitted file reads what it needs."""

    graph: Graph
    node: Node

    @property
    def op(self) -> Any:
        """With the fields that its lowering knows it to have."""
        return self.node.op

    @property
    def shape(self) -> Shape:
        """What enters, without the batch."""
        return self.graph.nodes[self.node.inputs[0]].shape

    @property
    def values(self) -> tuple[str, ...]:
        """Whatever a path holds, as a literal it is text and nothing else."""
        return tuple(f"v[{literal(self.graph.nodes[index].path)}]" for index in self.node.inputs)

    def call(self, function: str, *more: str, **options: Any) -> Call:
        """The function called on the first value; an empty option is what the function takes anyway."""
        told = [(name, literal(value)) for name, value in options.items() if value != ()]
        return Call(function, (*(("", argument) for argument in (self.values[0], *more)), *told))

    def tensors(self) -> tuple[str, ...]:
        """The node's own, in the order in which its op declares them."""
        return tuple(
            f"w[{literal(f'{self.node.path}.{param.role}')}]"
            for param in self.graph.params(self.node)
        )

    def steps(self) -> dict[str, Any]:
        """Stride and dilation of a window."""
        _, stride, dilation = self.op.axes(self.shape)
        return {"stride": _unless(stride, 1), "dilation": _unless(dilation, 1)}

    def reach(self) -> Pads:
        """How far beyond the input the windows reach, (before, after): `rounding: ceil` is nothing else."""
        rows = zip(
            self.shape[1:],
            self.op.pads(self.shape),
            self.node.shape[1:],
            *self.op.axes(self.shape),
            strict=True,
        )
        return tuple(
            (b, max((o - 1) * s + extent(k, d) - n - b, 0)) for n, (b, _), o, k, s, d in rows
        )


def _unless(value: Any, usual: Any) -> Any:
    """The numbers of all axes, or nothing where each is the usual one."""
    return () if all(each == usual for each in value) else value


def _conv(at: Site) -> Code:
    groups = () if at.op.groups == 1 else at.op.groups
    return at.call(
        "conv", *at.tensors(), **at.steps(), pads=_unless(at.reach(), (0, 0)), groups=groups
    )


def _max_pool(at: Site) -> Code:
    kernel, _, _ = at.op.axes(at.shape)
    return at.call("max_pool", literal(kernel), **at.steps(), pads=_unless(at.reach(), (0, 0)))


def _avg_pool(at: Site) -> Code:
    kernel, _, _ = at.op.axes(at.shape)
    counted = at.op.pads(at.shape) if at.op.count_include_pad else ((0, 0),) * len(kernel)
    # Where the windows stop short of the border's end, what they do not see is left out.
    counted = tuple(
        (b, min(a, reach)) for (b, a), (_, reach) in zip(counted, at.reach(), strict=True)
    )
    rest = tuple((b - c, a - d) for (b, a), (c, d) in zip(at.reach(), counted, strict=True))
    pads = {"counted": _unless(counted, (0, 0)), "pads": _unless(rest, (0, 0))}
    return at.call("avg_pool", literal(kernel), **at.steps(), **pads)


def _crop(at: Site) -> Code:
    sides = zip(at.shape[1:], at.op.margins(at.shape), strict=True)
    return f"{at.values[0]}[:, :, {', '.join(f'{before}:{n - after}' for n, (before, after) in sides)}]"


def _positions(at: Site) -> tuple[int, ...]:
    return tuple(range(2, len(at.shape) + 1))


LOWERED: Mapping[str, Callable[[Site], Code]] = {
    "relu": lambda at: at.call("np.maximum", "0"),
    "leaky_relu": lambda at: at.call("leaky_relu", slope=at.op.slope),
    "sigmoid": lambda at: at.call("sigmoid"),
    "tanh": lambda at: at.call("np.tanh"),
    "softmax": lambda at: at.call("softmax"),
    "conv": _conv,
    "linear": lambda at: at.call("linear", *at.tensors()),
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_avg_pool": lambda at: at.call("np.mean", axis=_positions(at), keepdims=True),
    "global_max_pool": lambda at: at.call("np.max", axis=_positions(at), keepdims=True),
    "batch_norm": lambda at: at.call(
        "batch_norm", "w", literal(at.node.path), "train", eps=at.op.eps, momentum=at.op.momentum
    ),
    "lrn": lambda at: at.call(
        "lrn", size=at.op.size, alpha=at.op.alpha, beta=at.op.beta, k=at.op.k
    ),
    "dropout": lambda at: at.call("dropout", "rng", rate=at.op.rate),
    "identity": lambda at: at.values[0],
    "flatten": lambda at: f"{at.values[0]}.reshape(len(x), -1)",
    "reshape": lambda at: (
        f"{at.values[0]}.reshape({', '.join(['len(x)', *map(str, at.node.shape)])})"
    ),
    "crop": _crop,
    "concat": lambda at: Call("np.concatenate", (("", List(at.values)), ("axis", "1"))),
    "add": lambda at: BinOp("+", at.values),
    "multiply": lambda at: BinOp("*", at.values),
}
