"""An `.onnx` file of any origin, run by ONNX Runtime with the value of every node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, shape_inference

from archspec.backend.model_file import FileRun, in_batches, to_input_layout
from archspec.diagnostics import Failure, library_words, quote
from archspec_onnx.runtime import Runner, read_model


def run_model(path: Path, x: NDArray[Any]) -> FileRun:
    """Return what a model computes for a batch [N, *input], channels first."""
    try:
        model = read_model(path)
        shape = _input_shape(path, model)
        names = [output.name for output in model.graph.output]
        between = _values(model)
        for value in between:
            model.graph.output.append(value)
        runner = Runner(model)
    except Failure:
        raise
    except Exception as error:  # ONNX and its runtime raise what they like
        message = f"ONNX Runtime does not load {quote(path)}: {library_words(error)}"
        raise Failure(message) from error
    inner = [value.name for value in between]

    def run(part: NDArray[Any]) -> FileRun:
        arrays = runner.run(part, [*names, *inner])
        values = zip(inner, arrays[len(names) :], strict=True)
        return FileRun(arrays[: len(names)], list(values))

    return in_batches(to_input_layout(x, shape), shape[0], run)


def _input_shape(path: Path, model: ModelProto) -> list[int | None]:
    """Return the sizes of a model's one input, None where any will do."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    if len(inputs) != 1:
        raise Failure(f"the model in {quote(path)} has {len(inputs)} inputs, a spec has one")
    dims = inputs[0].type.tensor_type.shape.dim
    return [dim.dim_value if dim.dim_value > 0 else None for dim in dims]


def _values(model: ModelProto) -> list[Any]:
    """Return the computed values of floating point that are not outputs, in execution order."""
    shown = {output.name for output in model.graph.output}
    inferred = shape_inference.infer_shapes(model).graph.value_info
    described = {
        value.name: value
        for value in inferred
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    computed = [name for node in model.graph.node for name in node.output]
    return [described[name] for name in computed if name in described and name not in shown]
