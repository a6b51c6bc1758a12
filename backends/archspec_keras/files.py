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
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspec.backend import MemoryBudget, Provenance, TooLarge
from archspec.codegen.runtime import import_model
from archspec.ir.graph import Graph
from archspec_keras.layout import tensor_layout
from archspec_keras.runtime import variables_by_name
from archspec_keras.source import emit
from archspec_keras.tensor_roles import KERNEL, NORM, PRELU

MAX_CONFIG_BYTES = 2**26
"""The most that the description of a model's layers may take, whatever its weights take."""


def read_keras(path: Path, budget: MemoryBudget) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file as `LAYER/variable`.

    Raises ValueError if it is damaged or not a `.keras` file, `TooLarge` if it goes over the
    budget. HDF5 numbers the layers of a class in the order of the description, and the variables of
    a layer in the order in which the layer creates them.
    """
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > MAX_CONFIG_BYTES:
                raise ValueError("its config.json is too large")
            config: Any = json.loads(budget.unzip(archive, "config.json"))
            weights = budget.unzip(archive, "model.weights.h5")
        tensors: dict[str, NDArray[Any]] = {}
        with h5py.File(io.BytesIO(weights), "r") as file:
            for group, layer in _groups(config["config"]["layers"]):
                variables: Any = file.get(f"layers/{group}/vars")
                for number in sorted(variables or (), key=int):
                    name = f"{layer['config']['name']}/{_variable_names(layer)[int(number)]}"
                    tensors[name] = _array(name, variables[number], budget)
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


def _groups(layers: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers with their HDF5 names: the class in snake case, numbered from the second."""
    counts: dict[str, int] = {}
    for layer in layers:
        name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", layer["class_name"]))
        name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
        number = counts[name] = counts.get(name, -1) + 1
        yield f"{name}_{number}" if number else name, layer


def _variable_names(layer: Any) -> list[str]:
    """Return the names of a layer's variables in the order in which it creates them."""
    config = layer["config"]
    if "center" in config:
        running = "momentum" in config
        has_role = {
            "weight": config["scale"],
            "bias": config["center"],
            "running_mean": running,
            "running_var": running,
        }
        return [variable for role, variable in NORM.items() if has_role[role]]
    return [*(PRELU if layer["class_name"] == "PReLU" else KERNEL).values()]


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
        variables = variables_by_name(model)
        for tensor_name, tensor in tensors.items():
            layout = layouts[tensor_name]
            if layout.name in variables:
                value = layout.from_portable(np.asarray(tensor, np.float32))
                variables[layout.name].assign(value)
        model.save(folder / "model.keras")
        (folder / "model.keras").replace(path)
