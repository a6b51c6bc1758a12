"""The emitted model with its weights, what it makes of a batch, and arrays in its layout and in ours."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part alone.

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archspec.codegen.runtime import import_model

if TYPE_CHECKING:
    from numpy.typing import NDArray


def load(directory: Path) -> Any:
    """The `keras.Model` of a built folder for inference, with the folder's weights."""
    return import_model(directory).build_model(Path(directory) / "weights.safetensors")


def predict(model: Any, batch: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The main output for a batch [N, *input], channels first, in inference mode."""
    result: Any = model(last(np.asarray(batch, dtype=model.inputs[0].dtype)), training=False)
    main: Any = result[0] if isinstance(result, list | tuple) else result
    return first(numpy(main)).astype(np.float32)


def last(x: NDArray[Any]) -> NDArray[Any]:
    """Channels last."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def first(x: NDArray[Any]) -> NDArray[Any]:
    """Channels first."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def numpy(tensor: Any) -> NDArray[Any]:
    """A tensor of whichever engine as an array; half precisions become float32."""
    from keras import backend, ops

    kind = backend.standardize_dtype(tensor.dtype)
    return np.array(
        ops.convert_to_numpy(
            ops.cast(tensor, "float32") if kind in ("bfloat16", "float16") else tensor
        )
    )
