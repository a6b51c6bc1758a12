"""The names that PyTorch's source cannot give to something of its own."""

from __future__ import annotations

import pytest
from torch import nn

from archspec_torch.dialect import MODULE_ATTRIBUTES, TORCH


@pytest.mark.parametrize("text", ["forward", "nn", "train", "self", "T_destination", "class", "l"])
def test_a_name_that_is_taken_gets_an_underscore(text: str) -> None:
    assert TORCH.identifier(text) == f"{text}_"


def test_the_attributes_of_modules_are_all_known() -> None:
    found = {
        name
        for kind in (nn.Module, nn.Sequential, nn.ModuleList)
        for name in (*dir(kind), *vars(kind()))
    }
    assert {name for name in found if not name.startswith("_")} <= MODULE_ATTRIBUTES
