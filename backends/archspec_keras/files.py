"""`.keras` files, read as the zip of JSON and HDF5 that they are so that nothing in one is run.

Keras itself writes them.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part only.

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspec.backend import FileTensor, MemoryBudget, Provenance, TooLarge
from archspec.codegen.runtime import import_model
from archspec.ir.graph import Graph
from archspec_keras.flat_order import flat_orders
from archspec_keras.layout import tensor_layout
from archspec_keras.recognition import CONFIG, WEIGHTS
from archspec_keras.runtime import variables_by_name
from archspec_keras.saved_layers import Variable, variables
from archspec_keras.source import emit

MAX_CONFIG_BYTES = 2**26
"""The most that the description of a model's layers may take, whatever its weights take."""


def read_keras(path: Path, budget: MemoryBudget) -> dict[str, FileTensor]:
    """Return every tensor of a file as `LAYER/variable`, the layers of a nested model as
    `MODEL-LAYER/variable`.

    Raises ValueError if it is damaged or not a `.keras` file, `TooLarge` if it goes over the
    budget.
    """
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(CONFIG).file_size > MAX_CONFIG_BYTES:
                raise ValueError("its config.json is too large")
            model: Any = json.loads(budget.unzip(archive, CONFIG))
            weights = budget.unzip(archive, WEIGHTS)
        orders = flat_orders(model)
        tensors: dict[str, FileTensor] = {}
        with h5py.File(io.BytesIO(weights), "r") as file:
            for variable in variables(file, model):
                values = _array(variable.name, variable.dataset, budget)
                tensors[variable.name] = FileTensor(
                    values,
                    variable.layer,
                    axes=_axes(variable, values),
                    shape=_shape(variable, values),
                    flat_order=orders.of(variable.path),
                    unused=variable.unused or _unused(values),
                )
    except (OSError, TooLarge):
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(f"not a .keras file of a functional model: {reason}") from error
    return tensors


def _array(name: str, variable: Any, budget: MemoryBudget) -> NDArray[Any]:
    # HDF5 can take a dataset's bytes from any file of this machine. A link to another file cannot
    # be followed, since this one is open in memory.
    if variable.external or variable.is_virtual:
        raise ValueError(f"{name} lies in another file")
    # HDF5 unpacks compressed chunks and objects of any length without a bound. Keras writes none.
    if variable.chunks or variable.dtype.hasobject:
        raise ValueError(f"{name} is not a plain array of numbers")
    budget.charge(variable.size * variable.dtype.itemsize, name)
    return np.asarray(variable)


def _axes(variable: Variable, values: NDArray[Any]) -> tuple[int, ...] | None:
    """Return the portable axes in the order of the file: kernels are [*window, in, out]."""
    if not variable.is_known:
        return None
    axes = range(values.ndim)
    if variable.role.endswith("kernel") and len(axes) > 1:
        return (*axes[2:], 1, 0)
    return (*axes[1:], 0) if variable.role in ("gamma", "beta") else (*axes,)


def _shape(variable: Variable, values: NDArray[Any]) -> tuple[int, ...] | None:
    """Return the shape to read a depthwise kernel in, and a slope for each channel."""
    if variable.is_depthwise and values.ndim > 2:
        *window, channels, multiplier = values.shape
        return (*window, 1, channels * multiplier)
    return (
        values.shape[-1:] if variable.role == "alpha" and values.size == values.shape[-1] else None
    )


def _unused(values: NDArray[Any]) -> str:
    return "" if values.dtype.kind in "fV" else "not of floating point"


def write_keras(
    path: Path, graph: Graph, about: Provenance, tensors: Mapping[str, NDArray[Any]]
) -> None:
    """Write the model with these portable tensors as Keras saves it, with all of its heads."""
    layouts = tensor_layout(graph)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".archspec-") as name:
        folder = Path(name)
        for file, content in emit(graph, about).items():
            (folder / file).write_bytes(content)
        model = import_model(folder).build_model(train=True)
        by_name = variables_by_name(model)
        for tensor_name, tensor in tensors.items():
            layout = layouts[tensor_name]
            if layout.name in by_name:
                value = layout.from_portable(np.asarray(tensor, np.float32))
                by_name[layout.name].assign(value)
        model.save(folder / "model.keras")
        (folder / "model.keras").replace(path)
