"""The end of every emitted file; the body of `network` is written from the graph."""

from __future__ import annotations

from os import PathLike

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
MAIN = "output"
TENSORS: dict[str, tuple[int, ...]] = {"output.weight": (10, 84)}


def network(
    x: Array, w: dict[str, Array], *, train: bool, rng: np.random.Generator | None
) -> dict[str, Array]:
    """Return every value by its path; train mode updates the running statistics among `w`."""
    return {MAIN: x @ w["output.weight"].T}


class Model:
    """The network with its `tensors` by portable name; call it on a batch [N, *input]."""

    def __init__(self, tensors: dict[str, Array]) -> None:
        self.tensors = tensors

    def __call__(self, x: Array) -> Array:
        return self.values(x)[MAIN]

    def values(
        self, x: Array, *, train: bool = False, rng: np.random.Generator | None = None
    ) -> dict[str, Array]:
        """Return every value by its path; train mode drops values if it is given an `rng`."""
        return network(x, self.tensors, train=train, rng=rng if train else None)


def build_model(weights: str | PathLike[str]) -> Model:
    """Build the network with a safetensors file; raise ValueError for tensors that do not fit."""
    from safetensors.numpy import load_file

    tensors = load_file(weights)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    faults = [
        f"{name} is {shapes.get(name, 'missing')}, expected {TENSORS.get(name, 'none')}"
        for name in {**TENSORS, **shapes}
        if TENSORS.get(name) != shapes.get(name)
    ]
    if faults:
        raise ValueError(f"{weights} does not fit the model: {'; '.join(faults)}")
    return Model(tensors)
