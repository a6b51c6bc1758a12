"""What a `.keras` file of a stranger's may not do: bring in what lies in other files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from archspec_keras.files import read

Put = Callable[[Any, Path], None]
"""Gives an open HDF5 file the variable of its only layer; the path is that of a file that holds the values too."""


def inside(file: Any, other: Path) -> None:
    file["layers/dense/vars/0"] = np.asarray(h5py.File(other)["0"])


def external(file: Any, other: Path) -> None:
    file.create_group("layers/dense/vars").create_dataset("0", (4,), "f4", external=[(str(other), 0, 16)])


def linked(file: Any, other: Path) -> None:
    file.create_group("layers/dense/vars")["0"] = h5py.ExternalLink(str(other), "0")


def virtual(file: Any, other: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(other), "0", (4,))
    file.create_group("layers/dense/vars").create_virtual_dataset("0", layout)


def keras_file(folder: Path, put: Put) -> Path:
    with h5py.File(folder / "other.h5", "w") as file:
        file["0"] = np.arange(4, dtype=np.float32)
    with h5py.File(folder / "model.weights.h5", "w") as file:
        put(file, folder / "other.h5")
    layer = {"class_name": "Dense", "config": {"name": "layer"}}
    with zipfile.ZipFile(folder / "w.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
        archive.write(folder / "model.weights.h5", "model.weights.h5")
    return folder / "w.keras"


def test_values_that_the_file_holds_are_read(tmp_path: Path) -> None:
    found = read(keras_file(tmp_path, inside))
    assert {name: value.tolist() for name, value in found.items()} == {"layer/kernel": [0, 1, 2, 3]}


@pytest.mark.parametrize("put", [external, linked, virtual])
def test_no_other_file_is_read(tmp_path: Path, put: Put) -> None:
    path = keras_file(tmp_path, put)
    with pytest.raises(ValueError, match="it is no .keras file"):
        read(path)
