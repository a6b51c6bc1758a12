"""The comparison of emitted sources, fed code that breaks out."""

import pytest

from tests.helpers.harmless import differences

PLAIN = '''
"""good net"""
import torch
from torch import nn

class GoodNet(nn.Module):
    def __init__(self, good_out: int = 3):
        super().__init__()
        self.good_conv = nn.Conv2d(3, good_out, 1)

    def forward(self, x):
        return torch.relu(self.good_conv(x))

RENAMED = {"good conv": "good_conv"}
'''


def test_other_words_make_no_difference() -> None:
    other = (
        PLAIN.replace("good_conv", "b1x1")
        .replace("GoodNet", "N")
        .replace("good_out", "n")
        .replace("good conv", "1x1")
    )
    assert differences(other, PLAIN, "good") == []
    assert differences(other.replace('"1x1": "b1x1"', ""), PLAIN, "good") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""good net"""', '""""""\nprint()\n""""""'),
        ("import torch\n", "import os\n"),
        ("import torch\n", "import torch, os\n"),
        ("from torch import nn", "from torch import nn as good"),
        ("nn.Conv2d(3, good_out, 1)", "nn.Conv2d(3, good_out, 2)"),
        ("nn.Conv2d(3, good_out, 1)", "nn.Conv3d(3, good_out, 1)"),
        ("nn.Conv2d(3, good_out, 1)", "nn.Conv2d(3, good_out, print())"),
        ("int = 3", "int = 4"),
        ("torch.relu", "torch.tanh"),
        ("self.good_conv(x)", "self.good_conv(self)"),
        ("def forward", "def backward"),
        ("return", "print(x)\n        return"),
        ("good_conv", "__class__"),
        ("good_conv", "ｇ"),
        ('"good_conv"}', "print()}"),
        ('"good_conv"}', '"good_conv"}\nimport os'),
        ("class GoodNet", "@good\nclass GoodNet"),
    ],
)
def test_other_code_does(old: str, new: str) -> None:
    assert old in PLAIN
    assert differences(PLAIN.replace(old, new), PLAIN, "good")
