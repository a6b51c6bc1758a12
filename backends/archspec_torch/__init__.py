"""The PyTorch backend: a graph as source that reads as if written by hand. Emitting needs no torch."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archspec.backend import Backend, Format, MemoryBudget, Provenance, TensorLayout
from archspec.backend.process_group import ProcessGroup
from archspec.backend.session import Precision, Session
from archspec.backend.trainer import Trainer, TrainerConfig
from archspec.ir.graph import Graph, Node
from archspec_torch.lowerings import LOWERED

# Each function imports its file when it is called: a backend that is merely listed costs nothing.


def _emit(
    graph: Graph, about: Provenance, weights: Path | None = None, /, **options: Any
) -> Mapping[str, bytes]:
    from archspec_torch.source import emit

    return emit(graph, about)


def _load(directory: Path) -> Any:
    from archspec_torch.runtime import load

    return load(directory)


def _predict(model: Any, batch: Any) -> Any:
    from archspec_torch.runtime import predict

    return predict(model, batch)


def _open(folder: Path, graph: Graph, precision: Precision) -> Session:
    from archspec_torch.session import TorchSession

    return TorchSession(folder, graph, precision)


def _trainer(folder: Path, plan: TrainerConfig) -> Trainer:
    from archspec_torch.trainer import TorchTrainer

    return TorchTrainer(folder, plan)


@contextmanager
def _join() -> Generator[ProcessGroup]:
    from archspec_torch.process_group import joined

    with joined() as group:
        yield group


def _natives(graph: Graph) -> Mapping[str, TensorLayout]:
    keys = attributes(graph)
    return {name: TensorLayout(keys[name], param.shape) for name, _, param in graph.parameters()}


def _explain(graph: Graph, node: Node) -> str:
    from archspec_torch.explain import explain

    return explain(graph, node)


def _read(path: Path, room: MemoryBudget) -> Mapping[str, Any]:
    from archspec_torch.files import read

    return read(path, room)


def _write(path: Path, graph: Graph, about: Provenance, tensors: Mapping[str, Any]) -> None:
    from archspec_torch.files import write

    write(path, {attributes(graph)[name]: tensor for name, tensor in tensors.items()})


BACKEND = Backend(
    name="torch",
    framework="torch",
    extra="torch",
    lowered=frozenset(LOWERED),
    gaps={},
    float32_constants={"hard_sigmoid": "1/6 in its derivative"},
    emit=_emit,
    load=_load,
    predict=_predict,
    tensor_layout=_natives,
    explain=_explain,
    open=_open,
    trainer=_trainer,
    init_process_group=_join,
    modes=("eval", "train", "grad", "step"),
    precisions=("float32", "float64"),
    formats=(Format(name="state_dict", suffixes=(".pt", ".pth"), read=_read, write=_write),),
)


def attributes(graph: Graph) -> dict[str, str]:
    """The emitted model's `state_dict` key for every tensor of the graph, by its neutral name."""
    from archspec_torch.source import attributes

    return attributes(graph)


__all__ = ["BACKEND", "attributes"]
