"""The code that each op becomes: an expression over values `v` and tensors `w`, by name."""

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
class LoweringContext:
    """A node of a graph, and the code of what it reads."""

    graph: Graph
    node: Node

    @property
    def op(self) -> Any:
        """The node's op; its lowering knows which fields it has."""
        return self.node.op

    @property
    def input_shape(self) -> Shape:
        """The shape of the first value that it reads, without the batch."""
        return self.graph.inputs(self.node)[0]

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of a batch after the channels."""
        return tuple(range(2, len(self.input_shape) + 1))

    @property
    def values(self) -> tuple[str, ...]:
        """The values that it reads; whatever a path holds, a literal is text and nothing else."""
        return tuple(f"v[{literal(self.graph.nodes[index].path)}]" for index in self.node.inputs)

    @property
    def tensors(self) -> tuple[str, ...]:
        """The node's own tensors, in the order in which its op declares them."""
        roles = (param.role for param in self.graph.params(self.node))
        return tuple(f"w[{literal(f'{self.node.path}.{role}')}]" for role in roles)

    def call(self, function: str, *args: str, **options: Any) -> Call:
        """Return a call on the first value; an option that is `()` is left out."""
        keywords = [(name, literal(value)) for name, value in options.items() if value != ()]
        return Call(function, (*(("", arg) for arg in (self.values[0], *args)), *keywords))

    def strides(self) -> dict[str, Any]:
        """Return the options stride and dilation."""
        _, stride, dilation = self.op.axes(self.input_shape)
        return {"stride": _unless(stride, 1), "dilation": _unless(dilation, 1)}

    def reached(self) -> Pads:
        """Return how far windows reach beyond each axis; `rounding: ceil` adds to that."""
        pads, axes = self.op.pads(self.input_shape), self.op.axes(self.input_shape)
        rows = zip(self.input_shape[1:], pads, self.node.shape[1:], *axes, strict=True)
        return tuple(
            (b, max((o - 1) * s + extent(k, d) - n - b, 0)) for n, (b, _), o, k, s, d in rows
        )


def _unless(values: Any, default: Any) -> Any:
    """Return the values of all axes, or `()` if each is the default."""
    return () if all(value == default for value in values) else values


def _conv(ctx: LoweringContext) -> Code:
    groups = () if ctx.op.groups == 1 else ctx.op.groups
    pads = _unless(ctx.reached(), (0, 0))
    return ctx.call("conv", *ctx.tensors, **ctx.strides(), pads=pads, groups=groups)


def _max_pool(ctx: LoweringContext) -> Code:
    kernel, _, _ = ctx.op.axes(ctx.input_shape)
    pads = _unless(ctx.reached(), (0, 0))
    return ctx.call("max_pool", literal(kernel), **ctx.strides(), pads=pads)


def _avg_pool(ctx: LoweringContext) -> Code:
    kernel, _, _ = ctx.op.axes(ctx.input_shape)
    reached, counted = ctx.reached(), ((0, 0),) * len(kernel)
    if ctx.op.count_include_pad:
        # Where windows stop short of the border's end, no window counts the rest of it.
        pairs = zip(ctx.op.pads(ctx.input_shape), reached, strict=True)
        counted = tuple((before, min(after, end)) for (before, after), (_, end) in pairs)
    rest = tuple((b - c, a - d) for (b, a), (c, d) in zip(reached, counted, strict=True))
    pads = {"counted": _unless(counted, (0, 0)), "pads": _unless(rest, (0, 0))}
    return ctx.call("avg_pool", literal(kernel), **ctx.strides(), **pads)


def _batch_norm(ctx: LoweringContext) -> Code:
    constants = {"eps": ctx.op.eps, "momentum": ctx.op.momentum}
    return ctx.call("batch_norm", "w", literal(ctx.node.path), "train", **constants)


def _crop(ctx: LoweringContext) -> Code:
    margins = ctx.op.margins(ctx.input_shape)
    pairs = zip(ctx.input_shape[1:], margins, strict=True)
    slices = ", ".join(f"{before}:{n - after}" for n, (before, after) in pairs)
    return f"{ctx.values[0]}[:, :, {slices}]"


LOWERED: Mapping[str, Callable[[LoweringContext], Code]] = {
    "relu": lambda ctx: ctx.call("np.maximum", "0"),
    "leaky_relu": lambda ctx: ctx.call("leaky_relu", slope=ctx.op.slope),
    "sigmoid": lambda ctx: ctx.call("sigmoid"),
    "tanh": lambda ctx: ctx.call("np.tanh"),
    "softmax": lambda ctx: ctx.call("softmax"),
    "conv": _conv,
    "linear": lambda ctx: ctx.call("linear", *ctx.tensors),
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_avg_pool": lambda ctx: ctx.call("np.mean", axis=ctx.spatial_axes, keepdims=True),
    "global_max_pool": lambda ctx: ctx.call("np.max", axis=ctx.spatial_axes, keepdims=True),
    "batch_norm": _batch_norm,
    "lrn": lambda ctx: ctx.call(
        "lrn", size=ctx.op.size, alpha=ctx.op.alpha, beta=ctx.op.beta, k=ctx.op.k
    ),
    "dropout": lambda ctx: ctx.call("dropout", "rng", rate=ctx.op.rate),
    "identity": lambda ctx: ctx.values[0],
    "flatten": lambda ctx: f"{ctx.values[0]}.reshape(len(x), -1)",
    "reshape": lambda ctx: (
        f"{ctx.values[0]}.reshape({', '.join(['len(x)', *map(str, ctx.node.shape)])})"
    ),
    "crop": _crop,
    "concat": lambda ctx: Call("np.concatenate", (("", List(ctx.values)), ("axis", "1"))),
    "add": lambda ctx: BinOp("+", ctx.values),
    "multiply": lambda ctx: BinOp("*", ctx.values),
}
