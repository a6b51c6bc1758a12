"""The emitted model with its weights, and its output for a batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec.codegen.runtime import import_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def load_model(directory: Path) -> Any:
    """Return the `nn.Module` of a built folder, in eval mode, with the folder's weights."""
    return import_model(directory).build_model(Path(directory) / "weights.safetensors")


def predict(model: Any, batch: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return the main output for a batch [N, *input], in eval mode, on the model's own device."""
    import torch

    model.eval()
    parameter = next(model.parameters(), torch.empty(0))
    with torch.no_grad():
        result: Any = model(torch.as_tensor(batch).to(parameter))
    main: Any = result if torch.is_tensor(result) else result[0]
    return main.float().cpu().numpy()
