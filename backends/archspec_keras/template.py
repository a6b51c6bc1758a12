"""The end of every emitted file: `layer_name` and what follows, with the network for `network`.

The constants that it uses are written from the graph.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part only.

from __future__ import annotations

from os import PathLike
from typing import Any

import keras
import numpy as np
from keras import layers

from archspec_keras.tensor_roles import ROLES

TRAIN_ONLY = ("aux1.", "aux2.")
RENAMED = {"3x3 reduce": "3x3_reduce"}


def network(*, train: bool = False) -> keras.Model:
    """Stands for the emitted network."""
    return keras.Model()


def layer_name(path: str) -> str:
    """The name of the layer which the spec calls `path`."""
    return "-".join(RENAMED.get(part, part) for part in path.split("."))


def portable_shape(layer: layers.Layer, variable: Any) -> tuple[int, ...]:
    """The shape of a variable as the file has it: channels first."""
    shape = tuple(variable.shape)
    if variable.name == "kernel":
        *window, inner, outer = shape
        depthwise = isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D))
        return (inner * outer, 1, *window) if depthwise else (outer, inner, *window)
    return shape[-1:] if variable.name == "alpha" else (shape[-1], *shape[:-1])


def load_weights(model: keras.Model, path: str | PathLike[str]) -> None:
    """Load a safetensors file with the spec's names; raise ValueError for all that differs."""
    from safetensors.numpy import load_file

    tensors: dict[str, np.ndarray] = {}
    faults: list[str] = []
    expected = {
        f"{layer.name}.{ROLES.get(v.name, v.name)}": (layer, v)
        for layer in model.layers
        for v in layer.weights
    }
    for name, tensor in load_file(path).items():
        scope, _, role = name.rpartition(".")
        key = f"{layer_name(scope)}.{role}"
        if key not in expected:
            faults += [] if name.startswith(TRAIN_ONLY) else [f"{name} is unexpected"]
            continue
        tensors[key] = tensor
        shape = portable_shape(*expected[key])
        if tensor.shape != shape:
            faults.append(f"{name} is {tensor.shape}, expected {shape}")
    faults += [f"{name.replace('-', '.')} is missing" for name in expected if name not in tensors]
    if faults:
        raise ValueError(f"{path} does not fit the model: {'; '.join(sorted(faults))}")
    for name, (_, variable) in expected.items():
        axes = range(tensors[name].ndim)
        order = (*axes[2:], 1, 0) if variable.name == "kernel" else (*axes[1:], 0)
        variable.assign(tensors[name].transpose(order).reshape(variable.shape))


def build_model(weights: str | PathLike[str] | None = None, train: bool = False) -> keras.Model:
    """Build the network, with the weights of a safetensors file or with Keras's initial ones.

    With `train`, its output is a dict by head, and has the heads that only training needs.
    """
    model = network(train=train)
    if weights is not None:
        load_weights(model, weights)
    return model
