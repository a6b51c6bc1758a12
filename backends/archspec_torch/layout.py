"""The emitted model's name for every tensor of a graph; torch's layouts are the portable ones."""

from __future__ import annotations

from collections.abc import Mapping

from archspec.backend import TensorLayout
from archspec.ir.graph import Graph
from archspec_torch.source import network_parts
from archspec_torch.weights import tensor_attributes


def state_dict_keys(graph: Graph) -> dict[str, str]:
    """Return the emitted model's `state_dict` key for every tensor of the graph, by portable name.

    >>> import archspec
    >>> state_dict_keys(archspec.load("lenet5").graph)["c3.conv.weight"]
    'c3.conv.weight'
    """
    return tensor_attributes(graph, network_parts(graph))


def tensor_layout(graph: Graph) -> Mapping[str, TensorLayout]:
    """Return each tensor's key and shape in the emitted model, by portable name."""
    keys = state_dict_keys(graph)
    return {name: TensorLayout(keys[name], param.shape) for name, _, param in graph.parameters()}
