"""The Keras backend: a graph as source that reads as if written by hand. Emitting needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from archspec.backend import Backend, Engine, Format, MemoryBudget, Provenance, TensorLayout
from archspec.backend.session import Precision, Session
from archspec.backend.trainer import Trainer, TrainerConfig
from archspec.diagnostics import Failure
from archspec.ir.graph import Graph, Node
from archspec_keras.lowerings import LOWERED

# Each function imports its file when it is called: a backend that is merely listed costs nothing.


def _emit(
    graph: Graph, about: Provenance, weights: Path | None = None, /, **options: Any
) -> Mapping[str, bytes]:
    from archspec_keras.source import emit

    return emit(graph, about)


def _load(directory: Path) -> Any:
    from archspec_keras.runtime import load

    return load(directory)


def _predict(model: Any, batch: Any) -> Any:
    from archspec_keras.runtime import predict

    return predict(model, batch)


def _open(folder: Path, graph: Graph, precision: Precision) -> Session:
    _require_derivatives()
    from archspec_keras.session import KerasSession

    return KerasSession(folder, graph, precision)


def _trainer(folder: Path, plan: TrainerConfig) -> Trainer:
    _require_derivatives()
    from archspec_keras.trainer import KerasTrainer

    return KerasTrainer(folder, plan)


def _require_derivatives() -> None:
    """Raises `Failure` where Keras was told to run on what takes none, or on what it does not know."""
    help = f"KERAS_BACKEND takes {', '.join(BACKEND.engines)}"
    try:
        keras: Any = import_module("keras")
    except ValueError as error:
        raise Failure(f"Keras does not start: {error}", help, 2) from error
    engine = keras.config.backend()
    if engine not in BACKEND.engines:
        raise Failure(f"Keras on {engine} takes no derivatives", help, 2)


def _natives(graph: Graph) -> Mapping[str, TensorLayout]:
    from archspec_keras.layout import natives

    return natives(graph)


def _explain(graph: Graph, node: Node) -> str:
    from archspec_keras.explain import explain

    return explain(graph, node)


def _read(path: Path, room: MemoryBudget) -> Mapping[str, Any]:
    from archspec_keras.files import read

    return read(path, room)


def _write(path: Path, graph: Graph, about: Provenance, tensors: Mapping[str, Any]) -> None:
    from archspec_keras.files import write

    write(path, graph, about, tensors)


BACKEND = Backend(
    name="keras",
    framework="keras",
    extra="keras",
    lowered=frozenset(LOWERED),
    gaps={},
    emit=_emit,
    load=_load,
    predict=_predict,
    tensor_layout=_natives,
    explain=_explain,
    open=_open,
    trainer=_trainer,
    modes=("eval", "train", "grad", "step"),
    precisions=("float32", "float64"),
    formats=(Format(name="keras", suffixes=(".keras",), read=_read, write=_write),),
    engines={
        name: Engine(name, {"KERAS_BACKEND": name}) for name in ("tensorflow", "jax", "torch")
    },
)

__all__ = ["BACKEND"]
