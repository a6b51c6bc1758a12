"""Emitted PyTorch source, run: the module that it is, the model with given tensors, its outputs by
head.
"""

from __future__ import annotations

import itertools
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from archspec.backend import Provenance
from archspec.ir.graph import Graph
from archspec_torch import BACKEND
from archspec_torch.layout import state_dict_keys

ABOUT = Provenance(
    title="A net. On nets, 2015",
    spec="net.yaml",
    sha256="0" * 64,
    summary="1 parameter",
    version="0.1",
)

_numbers = itertools.count()


def source(graph: Graph, about: Provenance = ABOUT) -> str:
    files = BACKEND.emit(graph, about)
    assert list(files) == ["model.py"]
    return files["model.py"].decode()


def run_source(text: str, folder: Path | None = None) -> Any:
    """The module that a text is; from a file in `folder`, for what reads its source again."""
    module: Any = types.ModuleType(f"emitted_{next(_numbers)}")
    path = "emitted"
    if folder is not None:
        path = str(folder / f"{module.__name__}.py")
        Path(path).write_text(text, encoding="utf-8")
        module.__file__ = path
        sys.modules[module.__name__] = module
    exec(compile(text, path, "exec"), module.__dict__)
    return module


def tensors(graph: Graph, seed: int = 0) -> dict[str, Any]:
    """Random tensors by neutral name, positive where they are variances."""
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for name, _, param in graph.parameters():
        value = rng.normal(scale=0.5, size=param.shape)
        found[name] = 0.5 + np.abs(value) if param.role == "running_var" else value
    return found


def filled(graph: Graph, module: Any, values: Mapping[str, Any], *, train: bool = False) -> Any:
    """The model in float64 with these tensors, dropout off."""
    model = module.build_model().double()
    names = state_dict_keys(graph)
    state = {names[name]: torch.from_numpy(value) for name, value in values.items()}
    state |= {
        name: value
        for name, value in model.state_dict().items()
        if name.endswith("num_batches_tracked")
    }
    model.load_state_dict(state)
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return model.train(train)


def by_head(graph: Graph, result: Any, *, train: bool) -> dict[str, Any]:
    """Return a model's outputs as arrays by head."""
    heads = sorted(
        (h for h in graph.heads if train or not h.train_only), key=lambda h: h.train_only
    )
    values = list(result)[: len(heads)] if isinstance(result, tuple) else [result]
    assert len(values) == len(heads)
    return {head.name: value.detach().numpy() for head, value in zip(heads, values, strict=True)}
