"""The emitted model with its weights, its predictions, and conversions between layouts."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part only.

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archspec.codegen.runtime import import_model

if TYPE_CHECKING:
    from numpy.typing import NDArray


def load_model(directory: Path) -> Any:
    """Return the `keras.Model` of a built folder for inference, with the folder's weights."""
    return import_model(directory).build_model(Path(directory) / "weights.safetensors")


def predict(model: Any, batch: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return the main output for a batch [N, *input], channels first, in inference mode."""
    x = to_channels_last(np.asarray(batch, dtype=model.inputs[0].dtype))
    outputs: Any = model(x, training=False)
    main: Any = outputs[0] if isinstance(outputs, list | tuple) else outputs
    return to_channels_first(to_numpy(main)).astype(np.float32)


def to_channels_last(x: NDArray[Any]) -> NDArray[Any]:
    """Move the channels of a batch from axis 1 to the end."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def to_channels_first(x: NDArray[Any]) -> NDArray[Any]:
    """Move the channels of a batch from the end to axis 1."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def to_numpy(tensor: Any) -> NDArray[Any]:
    """Return a tensor of any engine as an array; half precisions become float32."""
    from keras import backend, ops

    if backend.standardize_dtype(tensor.dtype) in ("bfloat16", "float16"):
        tensor = ops.cast(tensor, "float32")
    return np.array(ops.convert_to_numpy(tensor))


def variables_by_name(model: Any) -> dict[str, Any]:
    """Return the variables of a model as `LAYER/variable`, the names that layouts use."""
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        for variable in layer.weights
    }
