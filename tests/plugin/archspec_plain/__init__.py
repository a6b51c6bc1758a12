"""A backend that emits plain numpy: one statement a layer, over functions that are copied into the file.

>>> from archspec_plain import BACKEND
>>> "conv" in BACKEND.lowered, BACKEND.gaps["gelu"].reason
(True, 'numpy has no error function')
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.backend import Backend, TensorLayout
from archspec.backend.session import Precision, Session
from archspec.backend.trainer import Trainer, TrainerConfig
from archspec.ir.graph import Graph
from archspec_plain.gaps import GAPS
from archspec_plain.lowerings import LOWERED
from archspec_plain.source import emit, explain

# What needs numpy is imported when it is called: a backend that is merely listed costs nothing.


def _load(folder: Path) -> Any:
    from archspec_plain.session import load

    return load(folder)


def _predict(model: Any, batch: Any) -> Any:
    return model(batch)


def _open(folder: Path, graph: Graph, precision: Precision) -> Session:
    from archspec_plain.session import PlainSession

    return PlainSession(folder, graph, precision)


def _trainer(folder: Path, plan: TrainerConfig) -> Trainer:
    from archspec_plain.trainer import PlainTrainer

    return PlainTrainer(folder, plan)


def _natives(graph: Graph) -> Mapping[str, TensorLayout]:
    """The emitted model keeps every tensor under its neutral name, in its neutral layout."""
    return {name: TensorLayout(name, param.shape) for name, _, param in graph.parameters()}


BACKEND = Backend(
    name="plain",
    framework="numpy",
    extra="",
    lowered=frozenset(LOWERED),
    gaps=GAPS,
    emit=emit,
    load=_load,
    predict=_predict,
    tensor_layout=_natives,
    explain=explain,
    open=_open,
    trainer=_trainer,
    modes=("eval", "train"),
    precisions=("float32", "float64"),
)

__all__ = ["BACKEND"]
