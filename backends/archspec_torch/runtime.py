"""Runs what was emitted: the folder's own `model.py` is the model, there is no other."""

from __future__ import annotations

import itertools
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_numbers = itertools.count()


def load(directory: Path) -> Any:
    """The `nn.Module` of a built folder, in eval mode, with the folder's weights."""
    path = Path(directory) / "model.py"
    # A name of its own: two builds can be loaded side by side, and torch.compile and pickling find the module again.
    name = f"archspec_torch_model_{next(_numbers)}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module.build_model(path.with_name("weights.safetensors"))


def predict(model: Any, batch: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The main output for a batch [N, *input], in eval mode."""
    import torch

    model.eval()
    parameter = next(model.parameters(), torch.empty(0))
    with torch.no_grad():
        result: Any = model(torch.as_tensor(batch).to(parameter))
    main: Any = result if torch.is_tensor(result) else result[0]
    return main.float().cpu().numpy()
