"""The end of every emitted file: from `Model` on it is this text."""

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
    """Stands for the emitted network."""
    return {MAIN: x @ w["output.weight"].T}


class Model:
    """The network and its `tensors`, by the spec's names: called on a batch [N, *input], it gives the main output."""

    def __init__(self, tensors: dict[str, Array]) -> None:
        self.tensors = tensors

    def __call__(self, x: Array) -> Array:
        return self.values(x)[MAIN]

    def values(
        self, x: Array, *, train: bool = False, rng: np.random.Generator | None = None
    ) -> dict[str, Array]:
        """Every layer's output by its path; train mode moves statistics, and drops where it is given an `rng`."""
        return network(x, self.tensors, train=train, rng=rng if train else None)


def build_model(weights: str | PathLike[str]) -> Model:
    """Build the network with the weights of a safetensors file; raise a ValueError that tells all that differs."""
    from safetensors.numpy import load_file

    found = load_file(weights)
    shapes = {name: tensor.shape for name, tensor in found.items()}
    wrong = [name for name in {**TENSORS, **shapes} if TENSORS.get(name) != shapes.get(name)]
    if wrong:
        faults = (
            f"{name} is {shapes.get(name, 'missing')}, expected {TENSORS.get(name, 'none')}"
            for name in wrong
        )
        raise ValueError(f"{weights} does not fit the model: {'; '.join(faults)}")
    return Model(found)
