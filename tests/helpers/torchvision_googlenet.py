"""torchvision's GoogLeNet and ours: names of the same tensors, ours with torchvision's weights.

>>> neutral("inception3a.branch2.1.bn.running_var")
'inception_3a.3x3.conv.batch_norm.running_var'
>>> neutral("conv3.conv.weight"), neutral("aux1.fc2.bias"), neutral("fc.weight")
('conv2.conv.conv.weight', 'aux1.classifier.bias', 'linear.linear.weight')
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import archspec
from archspec.weights import checkpoint

SPEC = "googlenet-torchvision"

NAMES = (
    (r"^inception(\d)(\w)\.", r"inception_\1\2."),
    (r"\.branch1\.", ".1x1.convolution."),
    (r"\.branch2\.0\.", ".3x3.reduce."),
    (r"\.branch2\.1\.", ".3x3.conv."),
    (r"\.branch3\.0\.", ".5x5.reduce."),
    (r"\.branch3\.1\.", ".5x5.conv."),
    (r"\.branch4\.1\.", ".pool.proj."),
    (r"^conv2\.", "conv2.reduce."),
    (r"^conv3\.", "conv2.conv."),
    (r"\.bn\.", ".batch_norm."),
    (r"\.fc1\.", ".fc."),
    (r"\.fc2\.", ".classifier."),
    (r"^fc\.", "linear.linear."),
)
"""torchvision's words and the spec's, each tried once, in this order."""


def neutral(name: str) -> str:
    """The neutral name of what torchvision calls `name`."""
    for theirs, ours in NAMES:
        name = re.sub(theirs, ours, name)
    return name


def tensors(theirs: Any) -> dict[str, Any]:
    """Return the tensors of torchvision's model by portable name, without its batch counters."""
    state: dict[str, Any] = theirs.state_dict()
    return {
        neutral(name): tensor.numpy()
        for name, tensor in state.items()
        if not name.endswith(".num_batches_tracked")
    }


def build(theirs: Any) -> Any:
    """Return our model with torchvision's weights. Raise if any is missing, left over or
    misshapen.
    """
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save_checkpoint(path := Path(folder) / "weights.safetensors", tensors(theirs))
        return archspec.build(SPEC, backend="torch", weights=path)
