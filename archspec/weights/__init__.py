"""Weights by portable name: initial values, checkpoints, and other projects' files.

>>> import archspec, tempfile
>>> from archspec import weights
>>> from archspec.weights.init import initial_tensors
>>> spec = archspec.load("lenet5")
>>> with tempfile.TemporaryDirectory() as folder:
...     weights.save(f"{folder}/lenet.pth", initial_tensors(spec.graph), spec)
...     _ = weights.convert(f"{folder}/lenet.pth", f"{folder}/lenet.safetensors", spec)
...     tensors = weights.load(f"{folder}/lenet.safetensors", spec)
>>> tensors["c1.conv.weight"].shape
(6, 1, 5, 5)
"""

from __future__ import annotations

from archspec.weights.checkpoint import CheckpointError
from archspec.weights.transfer import LoadedWeights, convert, load, load_from, save
from archspec.weights.weight_source import WeightSource

__all__ = [
    "CheckpointError",
    "LoadedWeights",
    "WeightSource",
    "convert",
    "load",
    "load_from",
    "save",
]
