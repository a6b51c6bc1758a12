"""torchvision on a CPU build of torch, where its own wheels, compiled for CUDA, lack their
operators.

`import torchvision` describes two of those operators to torch and fails where they do not exist.
They are declared here, without code behind them: no classifier in `torchvision.models` calls them.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []  # a declaration lasts as long as its library object


def load() -> Any:
    """The module torchvision; raises `ModuleNotFoundError` where it is not installed."""
    found = find_spec("torchvision")
    if (
        found is not None
        and found.origin
        and not _declared
        and not _compiled(Path(found.origin).with_name("_C.so"))
    ):
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(name + _BOXES)
        _declared.append(library)
    return import_module("torchvision")


def _compiled(library: Path) -> bool:
    """Tell whether torchvision's operators can be loaded beside this torch."""
    try:
        torch.ops.load_library(library)
    except (ImportError, OSError):
        return False
    return True
