"""What a `.keras` file of a stranger's may not do: bring in what lies in other files, or fill the memory."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from archspec import weights
from archspec.backend import BackendError, MemoryBudget, TooLarge
from archspec.diagnostics import MissingPackage
from archspec.weights.inspect import inspect
from archspec_keras import files, saved_layers
from tests.helpers.specs import checked
from tests.helpers.tensors import TEXT, drawn
from tests.helpers.time_limit import time_limit

Put = Callable[[Any, Path], None]
"""Gives an open HDF5 file the variable of its only layer; the path is that of a file that holds the values too."""


def read(path: Path) -> Any:
    return files.read_keras(path, MemoryBudget(path))


def inside(file: Any, other: Path) -> None:
    file["layers/dense/vars/0"] = np.asarray(h5py.File(other)["0"])


def external(file: Any, other: Path) -> None:
    file.create_group("layers/dense/vars").create_dataset(
        "0", (4,), "f4", external=[(str(other), 0, 16)]
    )


def linked(file: Any, other: Path) -> None:
    file.create_group("layers/dense/vars")["0"] = h5py.ExternalLink(str(other), "0")


def virtual(file: Any, other: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(other), "0", (4,))
    file.create_group("layers/dense/vars").create_virtual_dataset("0", layout)


def unallocated(file: Any, other: Path) -> None:
    file.create_group("layers/dense/vars").create_dataset("0", (2**30,), "f4", fillvalue=1)


def chunked(file: Any, other: Path) -> None:
    file.create_group("layers/dense/vars").create_dataset(
        "0", data=np.zeros(2**20, "f4"), compression="gzip"
    )


def of_any_length(file: Any, other: Path) -> None:
    file.create_group("layers/dense/vars").create_dataset("0", data=["a", "long text"])


def keras_file(folder: Path, put: Put, packed: int = zipfile.ZIP_STORED) -> Path:
    with h5py.File(folder / "other.h5", "w") as file:
        file["0"] = np.arange(4, dtype=np.float32)
    with h5py.File(folder / "model.weights.h5", "w") as file:
        put(file, folder / "other.h5")
    layer = {"class_name": "Dense", "config": {"name": "layer"}}
    with zipfile.ZipFile(folder / "w.keras", "w", packed) as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
        archive.write(folder / "model.weights.h5", "model.weights.h5")
    return folder / "w.keras"


def test_values_that_the_file_holds_are_read(tmp_path: Path) -> None:
    found = read(keras_file(tmp_path, inside))
    assert {name: tensor.values.tolist() for name, tensor in found.items()} == {
        "layer/kernel": [0, 1, 2, 3]
    }


@pytest.mark.parametrize("put", [external, linked, virtual])
def test_no_other_file_is_read(tmp_path: Path, put: Put) -> None:
    path = keras_file(tmp_path, put)
    with pytest.raises(ValueError, match="not a .keras file"):
        read(path)


@pytest.mark.parametrize(
    ("put", "error", "message"),
    [
        (unallocated, TooLarge, "`layer/kernel` takes 4,294,967,296 bytes"),
        (chunked, ValueError, "layer/kernel is not a plain array of numbers"),
        (of_any_length, ValueError, "layer/kernel is not a plain array of numbers"),
    ],
)
def test_a_small_file_does_not_fill_the_memory(
    tmp_path: Path, put: Put, error: type[ValueError], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(keras_file(tmp_path, put))


def test_weights_that_unpack_to_more_than_can_be_needed_are_refused(tmp_path: Path) -> None:
    def long(file: Any, other: Path) -> None:
        file["elsewhere"] = np.zeros(2**24 + 2**20, np.float32)

    path = keras_file(tmp_path, long, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    for act in (lambda: weights.load(path, checked(TEXT)), lambda: inspect(path)):
        with pytest.raises(
            weights.CheckpointError,
            match=r"w\.keras` holds more .*: `model\.weights\.h5` takes 71,",
        ):
            act()


def test_a_missing_h5py_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = checked(TEXT)
    weights.save(tmp_path / "w.keras", drawn(spec.graph), spec)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        BackendError, match="the backend `keras` needs h5py, which is not installed"
    ) as caught:
        weights.load(tmp_path / "w.keras", spec)
    assert isinstance(caught.value, MissingPackage)


def test_groups_that_hold_one_another_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 25 groups holds the next one twice, which makes 2^25 paths."""
    monkeypatch.setattr(saved_layers, "MAX_ENTRIES", 5_000)
    config = {"class_name": "Functional", "config": {"name": "m", "layers": []}}
    with h5py.File(tmp_path / "w.h5", "w") as file:
        group: Any = file
        for _ in range(25):
            group["b"] = group.create_group("a")
            group = group["a"]
    with zipfile.ZipFile(tmp_path / "w.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.write(tmp_path / "w.h5", "model.weights.h5")
    with time_limit(20), pytest.raises(ValueError, match="more than 5,000 entries"):
        read(tmp_path / "w.keras")
