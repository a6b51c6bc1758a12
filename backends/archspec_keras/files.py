"""`.keras`: read as the zip of JSON and HDF5 that it is, so that nothing it holds is run; written by Keras itself."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part alone.

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
from archspec_keras.layout import natives
from archspec_keras.source import emit

_LARGEST = 2**26
"""So many bytes the description of a model's layers has at the most, whatever its weights take."""


def read(path: Path, room: MemoryBudget) -> dict[str, NDArray[Any]]:
    """The tensors of a file by `LAYER/variable`; raises ValueError where it is none, or is damaged.

    HDF5 numbers the layers of each class as the description lists them, and the variables of a layer as it made them.
    """
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _LARGEST:
                raise ValueError("its config.json is too large")
            config: Any = json.loads(room.unzip(archive, "config.json"))
            weights = room.unzip(archive, "model.weights.h5")
        found: dict[str, NDArray[Any]] = {}
        with h5py.File(io.BytesIO(weights), "r") as file:
            for group, layer in _groups(config["config"]["layers"]):
                variables: Any = file.get(f"layers/{group}/vars")
                for number in sorted(variables or (), key=int):
                    name = f"{layer['config']['name']}/{_variables(layer)[int(number)]}"
                    found[name] = _values(name, variables[number], room)
    except (OSError, TooLarge):
        raise
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise ValueError(f"it is no .keras file of a functional model: {first}") from error
    return found


def _values(name: str, variable: Any, room: MemoryBudget) -> NDArray[Any]:
    # HDF5 can take a dataset's bytes from any file of this machine; a link finds none, as the file is open in memory.
    if variable.external or variable.is_virtual:
        raise ValueError(f"{name} lies in another file")
    # Chunks can be packed, and objects of any length: HDF5 unpacks them without a bound, and Keras writes neither.
    if variable.chunks or variable.dtype.hasobject:
        raise ValueError(f"{name} is no plain array of numbers")
    room.charge(variable.size * variable.dtype.itemsize, name)
    return np.asarray(variable)


def _groups(layers: Any) -> Iterator[tuple[str, Any]]:
    """The layers with their names in HDF5: the class's in small letters, and a number from the second on."""
    seen: dict[str, int] = {}
    for layer in layers:
        name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", layer["class_name"]))
        name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
        count = seen[name] = seen.get(name, -1) + 1
        yield f"{name}_{count}" if count else name, layer


def _variables(layer: Any) -> list[str]:
    """The names of a layer's variables in the order in which it makes them."""
    config = layer["config"]
    if "center" in config:
        learnt = [name for name, flag in (("gamma", "scale"), ("beta", "center")) if config[flag]]
        return [*learnt, *(("moving_mean", "moving_variance") if "momentum" in config else ())]
    return ["alpha"] if layer["class_name"] == "PReLU" else ["kernel", "bias"]


def write(path: Path, graph: Graph, about: Provenance, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Writes the model with these neutral tensors as Keras saves it, all of its heads included."""
    known = natives(graph)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".archspec-") as name:
        folder = Path(name)
        for file, content in emit(graph, about).items():
            (folder / file).write_bytes(content)
        model = import_model(folder).build_model(train=True)
        own = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}
        for neutral, tensor in tensors.items():
            if known[neutral].name in own:
                own[known[neutral].name].assign(
                    known[neutral].from_portable(np.asarray(tensor, np.float32))
                )
        model.save(folder / "model.keras")
        (folder / "model.keras").replace(path)
