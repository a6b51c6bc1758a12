"""Weights by neutral name: where they start, the checkpoint that holds them, and other projects' files.

>>> import archspec, tempfile
>>> from archspec import weights
>>> from archspec.weights.init import initial
>>> spec = archspec.load("lenet5")
>>> with tempfile.TemporaryDirectory() as folder:
...     weights.save(f"{folder}/lenet.pth", initial(spec.graph), spec)
...     _ = weights.convert(f"{folder}/lenet.pth", f"{folder}/lenet.safetensors", spec)
...     tensors = weights.load(f"{folder}/lenet.safetensors", spec)
>>> tensors["c1.conv.weight"].shape
(6, 1, 5, 5)
"""

from __future__ import annotations

from archspec.weights.checkpoint import CheckpointError
from archspec.weights.transfer import Loaded, convert, load, read, save

__all__ = ["CheckpointError", "Loaded", "convert", "load", "read", "save"]
