"""The ONNX backend: a graph as `model.onnx`, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.backend import Backend, Engine, Format, MemoryBudget, Provenance, TensorLayout
from archspec.backend.session import Precision, Session
from archspec.ir.graph import Graph, Node
from archspec_onnx.lowerings import LOWERED
from archspec_onnx.names import Names
from archspec_onnx.options import OPTIONS

# Each function imports its file when it is called: a backend that is merely listed costs nothing.


def _emit(
    graph: Graph, about: Provenance, weights: Path | None = None, /, **options: Any
) -> Mapping[str, bytes]:
    from archspec_onnx.model import emit

    return emit(graph, about, weights, **options)


def _load(directory: Path) -> Any:
    from archspec_onnx.runtime import load

    return load(directory)


def _predict(model: Any, batch: Any) -> Any:
    from archspec_onnx.runtime import predict

    return predict(model, batch)


def _open(folder: Path, graph: Graph, precision: Precision) -> Session:
    from archspec_onnx.session import OnnxSession

    return OnnxSession(folder, graph, precision)


def _natives(graph: Graph) -> Mapping[str, TensorLayout]:
    names = Names(graph).tensors
    return {name: TensorLayout(names[name], param.shape) for name, _, param in graph.parameters()}


def _explain(graph: Graph, node: Node) -> str:
    from archspec_onnx.explain import explain

    return explain(graph, node)


def _read(path: Path, room: MemoryBudget) -> Mapping[str, Any]:
    from archspec_onnx.files import read

    return read(path, room)


def _write(path: Path, graph: Graph, about: Provenance, tensors: Mapping[str, Any]) -> None:
    from archspec_onnx.files import write

    write(path, graph, about, tensors)


BACKEND = Backend(
    name="onnx",
    framework="onnx",
    extra="onnx",
    lowered=frozenset(LOWERED),
    gaps={},
    emit=_emit,
    load=_load,
    predict=_predict,
    tensor_layout=_natives,
    explain=_explain,
    open=_open,
    modes=("eval", "train"),
    precisions=("float32",),
    formats=(Format(name="onnx", suffixes=(".onnx",), read=_read, write=_write),),
    options=OPTIONS,
    engines={"onnxruntime": Engine("onnxruntime")},
)

__all__ = ["BACKEND"]
