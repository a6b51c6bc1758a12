"""Models of PyTorch's libraries, as the `state_dict` that a file of them would hold."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from archspec.backend import FileTensor, MemoryBudget
from archspec.diagnostics import UsageError, did_you_mean, quote
from archspec_torch.files import file_tensors

MAX_MODEL_BYTES = 2**36


def torchvision_tensors(model: str, weights: str) -> dict[str, FileTensor]:
    """Return the tensors of one of torchvision's models; raise `UsageError` for an unknown one.

    `weights` is an entry of the model's weights, `default` or `none`.
    """
    import torchvision.models

    models = torchvision.models.list_models(module=torchvision.models)
    if model not in models:
        help = did_you_mean(model, models, "models")
        raise UsageError(f"torchvision has no model {quote(model)}", help)
    entry = {"none": None, "default": "DEFAULT"}.get(weights, weights)
    built = torchvision.models.get_model(model, weights=entry)
    return file_tensors(built.state_dict(), MemoryBudget(extra=MAX_MODEL_BYTES))
