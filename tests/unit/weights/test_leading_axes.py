"""Some projects pad shapes by leading axes of 1; a leading axis of any other size is another tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from archspec.weights import CheckpointError, load
from tests.helpers.specs import checked

SPEC = checked("""archspec: 1
name: net
input: [4]
network: [{name: fc, linear: {out: 3, bias: false}}]
""")


def test_leading_axes_of_one_are_left_out(tmp_path: Path) -> None:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    save_file({"fc.weight": weight[None, None]}, tmp_path / "a.safetensors")
    assert (load(tmp_path / "a.safetensors", SPEC)["fc.weight"] == weight).all()


def test_a_leading_axis_of_two_is_another_shape(tmp_path: Path) -> None:
    save_file({"fc.weight": np.zeros((2, 3, 4), np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"of another shape: `fc\.weight` is 2x3x4"):
        load(tmp_path / "a.safetensors", SPEC)
