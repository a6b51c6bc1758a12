"""Models of Keras's own library, as the `.keras` file that they would be saved as."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# Keras and the engines are typed in part only.

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from archspec.backend import FileTensor, MemoryBudget
from archspec.diagnostics import UsageError, did_you_mean, quote
from archspec_keras.files import read_keras


def application_tensors(model: str, weights: str) -> dict[str, FileTensor]:
    """Return the tensors of a model of `keras.applications`; raise `UsageError` for an unknown
    one.

    `weights` is `default` for those of ImageNet, or `none`.
    """
    from keras import applications

    models: dict[str, Any] = {
        name: value
        for name, value in vars(applications).items()
        if name[:1].isupper() and callable(value)
    }
    if model not in models:
        help = did_you_mean(model, models, "models")
        raise UsageError(f"keras.applications has no model {quote(model)}", help)
    named = {"none": None, "default": "imagenet"}
    if weights not in named:
        help = "known are `default` and `none`"
        raise UsageError(f"keras.applications has no weights {quote(weights)}", help)
    built = models[model](weights=named[weights])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        built.save(path)
        return read_keras(path, MemoryBudget(path))
