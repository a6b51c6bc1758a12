"""The Keras backend: source that reads as if written by hand. Emitting it needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.backend import Backend, Format, MemoryBudget, Provenance, TensorLayout
from archspec.backend.session import Precision, Session
from archspec.backend.trainer import Trainer, TrainerConfig
from archspec.ir.graph import Graph, Node
from archspec_keras.engines import ENGINES
from archspec_keras.lowerings import LOWERED

# Each function imports its file when it is called: a backend that is merely listed costs nothing.


def _emit(
    graph: Graph, about: Provenance, weights: Path | None = None, /, **options: Any
) -> Mapping[str, bytes]:
    from archspec_keras.source import emit

    return emit(graph, about)


def _load(directory: Path) -> Any:
    from archspec_keras.runtime import load_model

    return load_model(directory)


def _predict(model: Any, batch: Any) -> Any:
    from archspec_keras.runtime import predict

    return predict(model, batch)


def _open(folder: Path, graph: Graph, precision: Precision) -> Session:
    from archspec_keras.engines import open_session

    return open_session(folder, graph, precision)


def _trainer(folder: Path, config: TrainerConfig) -> Trainer:
    from archspec_keras.engines import open_trainer

    return open_trainer(folder, config)


def _tensor_layout(graph: Graph) -> Mapping[str, TensorLayout]:
    from archspec_keras.layout import tensor_layout

    return tensor_layout(graph)


def _explain(graph: Graph, node: Node) -> str:
    from archspec_keras.explain import explain

    return explain(graph, node)


def _read(path: Path, budget: MemoryBudget) -> Mapping[str, Any]:
    from archspec_keras.files import read_keras

    return read_keras(path, budget)


def _write(path: Path, graph: Graph, about: Provenance, tensors: Mapping[str, Any]) -> None:
    from archspec_keras.files import write_keras

    write_keras(path, graph, about, tensors)


BACKEND = Backend(
    name="keras",
    framework="keras",
    extra="keras",
    lowered=frozenset(LOWERED),
    gaps={},
    emit=_emit,
    load=_load,
    predict=_predict,
    tensor_layout=_tensor_layout,
    explain=_explain,
    open=_open,
    trainer=_trainer,
    modes=("eval", "train", "grad", "step"),
    precisions=("float32", "float64"),
    formats=(Format(name="keras", suffixes=(".keras",), read=_read, write=_write),),
    engines=ENGINES,
)

__all__ = ["BACKEND"]
