"""What a `.pth` file of a stranger's may not do: fill the memory."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from archspec.backend import MemoryBudget, TooLarge
from archspec_torch.files import read_state_dict

LARGE = 2**24 + 2**20
"""So many values take more than the room that any file has."""


def saved(folder: Path, state: Any) -> Path:
    torch.save(state, folder / "w.pth")
    return folder / "w.pth"


def test_half_precision_and_what_lies_beside_fit(tmp_path: Path) -> None:
    half = torch.ones(2**24, dtype=torch.half)
    path = saved(tmp_path, {"state_dict": {"w": half}, "slots": [half.clone()]})
    assert read_state_dict(path, MemoryBudget(path))["w"].values.dtype == "float32"


@pytest.mark.parametrize("dtype", [torch.float32, torch.half])
def test_a_value_that_is_shown_again_and_again_is_refused(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    path = saved(tmp_path, {"w": torch.zeros(1, dtype=dtype).expand(2**40)})
    assert path.stat().st_size < 2**12
    with pytest.raises(TooLarge, match="`w` takes 4,398,046,511,104 bytes"):
        read_state_dict(path, MemoryBudget(path))


def test_weights_that_unpack_to_more_than_can_be_needed_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"w": torch.zeros(LARGE)})
    with (
        zipfile.ZipFile(path) as whole,
        zipfile.ZipFile(tmp_path / "small.pth", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for name in whole.namelist():
            small.writestr(name, whole.read(name))
    path = tmp_path / "small.pth"
    with pytest.raises(TooLarge, match=r"`w/data/0` takes 71,303,168 bytes"):
        read_state_dict(path, MemoryBudget(path))
    assert len(read_state_dict(path, MemoryBudget(path, extra=2**27))["w"].values) == LARGE
