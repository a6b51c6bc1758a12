"""The ONNX backend: a graph as `model.onnx`, run by ONNX Runtime."""

from __future__ import annotations

from archspec.backend import Backend, Engine, Format
from archspec.backend.lazy import lazy
from archspec_onnx.lowerings import LOWERED
from archspec_onnx.options import OPTIONS

BACKEND = Backend(
    name="onnx",
    framework="onnx",
    extra="onnx",
    lowered=frozenset(LOWERED),
    gaps={},
    emit=lazy("archspec_onnx.model:emit"),
    load=lazy("archspec_onnx.runtime:load_model"),
    predict=lazy("archspec_onnx.runtime:predict"),
    tensor_layout=lazy("archspec_onnx.names:tensor_layout"),
    explain=lazy("archspec_onnx.explain:explain"),
    open=lazy("archspec_onnx.session:OnnxSession"),
    modes=("eval", "train"),
    precisions=("float32",),
    file_runners={".onnx": lazy("archspec_onnx.model_run:run_model")},
    formats=(
        Format(
            name="onnx",
            suffixes=(".onnx",),
            read=lazy("archspec_onnx.files:read_constants"),
            write=lazy("archspec_onnx.files:write_model"),
        ),
    ),
    options=OPTIONS,
    engines={"onnxruntime": Engine("onnxruntime")},
)

__all__ = ["BACKEND"]
