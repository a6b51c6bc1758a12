"""How pictures lie in memory while a model is trained."""

from __future__ import annotations

import torch

from archspec.graph import Graph


def memory_format(graph: Graph, device: torch.device) -> torch.memory_format:
    """Channels last, by which convolutions are faster, unless batch norm would suffer.

    On CPUs torch then sums a channel's values one after the other, in float32: over a million of them a batch norm's
    output is wrong by 1e-3, and by 1e-6 where channels come first (torch 2.13).
    """
    suffers = device.type == "cpu" and any(node.op.kind == "batch_norm" for node in graph.nodes)
    return torch.channels_last if len(graph.input) == 3 and not suffers else torch.contiguous_format
