"""A `.keras` file run by Keras, with the output of every layer, those of models within it too.

Keras builds the layers that the file names, in safe mode: a file with a Lambda layer, which holds
code, is refused, and so is one whose layers are not Keras's own.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false
# Keras and the engines are typed in part only.

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspec.backend.model_file import FileRun, in_batches, to_input_layout
from archspec.diagnostics import Failure, library_words, quote
from archspec_keras.runtime import to_numpy


def run_saved_model(path: Path, x: NDArray[Any]) -> FileRun:
    """Return what a file's model computes for a batch [N, *input], channels first."""
    import keras

    try:
        model: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what it likes
        help = "files with Lambda layers, and with layers of one's own, are not run"
        message = f"Keras does not load {quote(path)}: {library_words(error)}"
        raise Failure(message, help) from error
    if len(model.inputs) != 1:
        raise Failure(f"the model in {quote(path)} has {len(model.inputs)} inputs, a spec has one")
    shape = model.inputs[0].shape
    values: list[tuple[str, Any]] = []
    for layer in model._flatten_layers(include_self=False):
        _record(layer, values)
    batch = to_input_layout(x.astype(np.float32), shape, channels_last=True)

    def run(part: NDArray[Any]) -> FileRun:
        values.clear()
        given: Any = model(part, training=False)
        outputs = keras.tree.flatten(given)
        return FileRun(
            [to_numpy(output) for output in outputs],
            [(name, to_numpy(value)) for name, value in values],
        )

    return in_batches(batch, shape[0], run)


def _record(layer: Any, values: list[tuple[str, Any]]) -> None:
    """Let a layer add its outputs to `values` when it is called."""
    call = layer.call

    def recorded(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        if hasattr(output, "dtype"):
            values.append((layer.name, output))
        return output

    layer.call = recorded
