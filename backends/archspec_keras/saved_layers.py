"""Every variable in a `.keras` file's HDF5, matched with the layers that its config describes.

HDF5 numbers the layers of a class in the order of the description, and the variables of a layer in
the order in which the layer creates them. Layers within a layer lie under the names of attributes.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# What a file describes is JSON, of any type.

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from archspec_keras.flat_order import is_keras_layer, is_model
from archspec_keras.paths import SEPARATOR
from archspec_keras.tensor_roles import KERNEL, NORM, PRELU

MAX_DEPTH = 32
"""Layers within layers."""
MAX_ENTRIES = 100_000
"""Layers and variables of all layers."""
RECURRENT = ("kernel", "recurrent_kernel", "bias")
NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Dense", "EinsumDense"), tuple(KERNEL.values())),
    "PReLU": tuple(PRELU.values()),
    "Embedding": ("embeddings",),
    "RMSNormalization": ("scale",),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "ConvLSTM"), RECURRENT),
}
"""The variables of layers, by class, in the order in which the layer creates them."""
SEPARABLE = ("depthwise_kernel", "pointwise_kernel", "bias")


@dataclass(frozen=True)
class Variable:
    """A variable in the file: its name, its HDF5 dataset, and the layer that owns it."""

    path: tuple[str, ...]
    """The names of the layer, and of the models around it."""
    inner: str
    """The attributes that lead to a layer within the layer, as in `forward_layer/cell`."""
    role: str
    layer: str
    dataset: Any
    is_known: bool
    """The meaning of its axes follows from the class of its layer."""
    is_depthwise: bool = False
    unused: str = ""

    @property
    def name(self) -> str:
        parts = (SEPARATOR.join(self.path), self.inner, self.role)
        return "/".join(part for part in parts if part)


def variables(file: Any, model: Any) -> Iterator[Variable]:
    """Yield every variable of an HDF5 file; `model` is the content of config.json."""
    yield from _of_layer(file, model, (), "", _Walk())


@dataclass
class _Walk:
    """Bounds a walk through groups, which can hold themselves, and one another many times over."""

    depth: int = 0
    entries: int = 0
    """Of the groups seen, each as often as it was seen."""

    @contextmanager
    def into(self, group: Any) -> Generator[None]:
        """Go into a group for a block; raise ValueError if that would be too much."""
        self.depth += 1
        self.entries += len(group)
        if self.depth > MAX_DEPTH:
            raise ValueError("its groups are nested without an end")
        if self.entries > MAX_ENTRIES:
            raise ValueError(f"its groups have more than {MAX_ENTRIES:,} entries")
        yield
        self.depth -= 1


def _of_layer(
    group: Any, layer: Any, path: tuple[str, ...], inner: str, walk: _Walk
) -> Iterator[Variable]:
    """Yield a layer's variables, then those of the layers within it."""
    with walk.into(group):
        yield from _own(group, layer, path, inner, walk)
        yield from _within(group, layer, path, inner, walk)


def _within(
    group: Any, layer: Any, path: tuple[str, ...], inner: str, walk: _Walk
) -> Iterator[Variable]:
    for name in sorted(group):
        child = group.get(name)
        if name == "vars" or not hasattr(child, "keys"):
            continue
        if name == "layers" and is_model(layer) and not inner:
            yield from _of_model(child, layer, path, walk)
            continue
        within = f"{inner}/{name}" if inner else name
        yield from _of_layer(child, _part(layer, name), path, within, walk)


def _of_model(group: Any, model: Any, path: tuple[str, ...], walk: _Walk) -> Iterator[Variable]:
    described: set[str] = set()
    for name, layer in _groups(model["config"]["layers"]):
        described.add(name)
        child = group.get(name)
        if hasattr(child, "keys"):
            # A group of a layer that is shared with another model is there once.
            yield from _of_layer(child, layer, (*path, layer["config"]["name"]), "", walk)
    for name in sorted(set(group) - described):
        yield from _of_layer(group.get(name), {}, path, f"layers/{name}", walk)


def _own(
    group: Any, layer: Any, path: tuple[str, ...], inner: str, walk: _Walk
) -> Iterator[Variable]:
    datasets: Any = group.get("vars")
    if not hasattr(datasets, "keys"):
        return
    with walk.into(datasets):
        pass
    names, is_known = _variable_names(layer)
    kind = str(layer.get("class_name", ""))
    for key in sorted(datasets, key=lambda key: (not key.isdigit(), key.zfill(20))):
        dataset = datasets.get(key)
        if dataset is None:  # a link that leads nowhere, or out of the file
            raise ValueError(f"the variable {key} of {'/'.join(path)} lies in another file")
        number = int(key) if key.isdigit() else len(names)
        role = names[number] if number < len(names) else key
        yield Variable(
            path,
            inner,
            role,
            kind,
            dataset,
            is_known=is_known and not inner and number < len(names),
            is_depthwise=role == "depthwise_kernel"
            or (kind.startswith("Depthwise") and role == "kernel"),
            unused=_unused(path, inner),
        )


def _unused(path: tuple[str, ...], inner: str) -> str:
    """Return the reason why a variable is no weight of the network."""
    if not path and inner.startswith("optimizer"):
        return "of the optimizer"
    return "the state of a random generator" if inner.endswith("seed_generator") else ""


def _part(layer: Any, attribute: str) -> Any:
    """Return the description of a layer within a layer; empty if it is not described."""
    config: Any = layer.get("config")
    wanted = {"forward_layer": "layer"}.get(attribute, attribute)  # of a Bidirectional
    part: Any = config.get(wanted) if isinstance(config, dict) else None
    if isinstance(part, dict) and isinstance(cast("Any", part).get("config"), dict):
        return cast("Any", part)
    if attribute.endswith("_dense"):  # the projections of an attention layer
        return {"class_name": "EinsumDense", "config": {}}
    # A recurrent layer keeps its variables in a cell, which the layer's own options describe.
    return layer if attribute == "cell" else {}


def _groups(layers: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers with their HDF5 names: the class in snake case, numbered from the second."""
    counts: dict[str, int] = {}
    for layer in layers:
        name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", layer["class_name"]))
        name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
        number = counts[name] = counts.get(name, -1) + 1
        yield f"{name}_{number}" if number else name, layer


def _variable_names(layer: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    """Return the names of a layer's variables in the order of their creation, and whether the
    meaning of their axes is known."""
    if not layer or is_model(layer):
        return (), False
    kind, config = str(layer["class_name"]), layer["config"]
    is_ours = (layer.get("registered_name") or "").startswith("archspec>")
    if not is_ours and not is_keras_layer(layer):
        return (), False
    if "center" in config:
        return _norm_names(config), True
    if is_ours:
        return tuple(KERNEL.values()), True
    if kind.startswith("Separable"):
        return SEPARABLE, True
    if kind.startswith(("Conv", "DepthwiseConv")) and not kind.startswith("ConvLSTM"):
        return tuple(KERNEL.values()), True
    names = NAMES.get(re.sub(r"(\dD|Cell)$", "", kind), ())
    return names, kind in ("Dense", "PReLU", "Embedding")


def _norm_names(config: Any) -> tuple[str, ...]:
    """Return the names of a normalization's variables."""
    running = "momentum" in config
    has_role = {
        "weight": config["scale"],
        "bias": config["center"],
        "running_mean": running,
        "running_var": running,
    }
    return tuple(variable for role, variable in NORM.items() if has_role[role])
