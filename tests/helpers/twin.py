"""A network as a torch module, layer by layer as torchvision writes it, for other counters."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archspec.ir.graph import Graph
from archspec.ir.types import Shape


class Twin(nn.Module):
    """The inference graph in torch: layers and pools as modules, the rest as functions."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        needed = [node for node in graph.nodes[1:] if node.index in graph.inference]
        made = {str(node.index): _module(node.op, *graph.inputs(node)) for node in needed}
        self.made = nn.ModuleDict(
            {index: module for index, module in made.items() if module is not None}
        )

    def forward(self, x: Tensor) -> Tensor:
        values = {0: x}
        for node in self.graph.nodes[1:]:
            if node.index in self.graph.inference:
                read = [values[i] for i in node.inputs]
                index = str(node.index)
                known = index in self.made
                values[node.index] = (
                    self.made[index](*read) if known else _function(node.op, node.shape, *read)
                )
        return values[self.graph.heads[0].node]


def _module(op: Any, *inputs: Shape) -> nn.Module | None:
    shape = inputs[0]

    def pick(name: str) -> Any:
        return getattr(nn, f"{name}{len(shape) - 1}d")

    match op.kind:
        case "conv" | "conv_transpose":
            kernel, stride, dilation = op.axes(shape)
            options: Any = {"dilation": dilation, "groups": op.groups, "bias": op.bias}
            padding = tuple(before for before, _ in op.pads(shape))
            name = "Conv" if op.kind == "conv" else "ConvTranspose"
            return pick(name)(shape[0], op.out, kernel, stride, padding, **options)
        case "linear":
            return nn.Linear(shape[0], op.out, bias=op.bias)
        case "max_pool":
            kernel, stride, dilation = op.axes(shape)
            return pick("MaxPool")(
                kernel, stride, op.padding, dilation, ceil_mode=op.rounding == "ceil"
            )
        case "avg_pool":
            kernel, stride, _ = op.axes(shape)
            return pick("AvgPool")(kernel, stride, op.padding)
        case "global_avg_pool":
            return pick("AdaptiveAvgPool")(1)
        case "global_max_pool":
            return pick("AdaptiveMaxPool")(1)
        case "adaptive_avg_pool":
            return pick("AdaptiveAvgPool")(op.size * (len(shape) - len(op.size)))
        case "batch_norm":
            return pick("BatchNorm")(shape[0], affine=op.affine)
        case "instance_norm":
            return pick("InstanceNorm")(shape[0], affine=op.affine)
        case "group_norm":
            return nn.GroupNorm(op.groups, shape[0], affine=op.affine)
        case "layer_norm":
            return nn.LayerNorm(list(shape), elementwise_affine=op.affine)
        case "lrn":
            return nn.LocalResponseNorm(op.size)
        case "prelu":
            return nn.PReLU(1 if op.shared else shape[0])
        case "dropout":
            return nn.Dropout(op.rate)
        case _:
            return None


def _function(op: Any, shape: Shape, *read: Tensor) -> Tensor:
    match op.kind:
        case "concat":
            return torch.cat(read, 1)
        case "add":
            return read[0] + read[1]
        case "multiply":
            return read[0] * read[1]
        case "flatten":
            return torch.flatten(read[0], 1)
        case "softmax":
            return F.softmax(read[0], 1)
        case "resize" if op.mode == "nearest":
            mode = "nearest" if op.coordinates == "asymmetric" else "nearest-exact"
            return F.interpolate(read[0], shape[1:], mode=mode)
        case "resize":
            return F.interpolate(
                read[0], shape[1:], mode="bilinear", align_corners=op.coordinates == "align_corners"
            )
        case _:
            return {**vars(torch), **vars(F)}[op.kind](read[0])
