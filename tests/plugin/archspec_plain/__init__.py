"""A backend that emits plain numpy: a statement a layer, over functions copied into the file.

>>> from archspec_plain import BACKEND
>>> "conv" in BACKEND.lowered, BACKEND.gaps["gelu"].reason
(True, 'numpy has no error function')
"""

from __future__ import annotations

from archspec.backend import Backend
from archspec.backend.lazy import lazy
from archspec_plain.gaps import GAPS
from archspec_plain.lowerings import LOWERED

BACKEND = Backend(
    name="plain",
    framework="numpy",
    extra="",
    lowered=frozenset(LOWERED),
    gaps=GAPS,
    emit=lazy("archspec_plain.source:emit"),
    load=lazy("archspec_plain.session:load_model"),
    predict=lambda model, batch: model(batch),
    tensor_layout=lazy("archspec_plain.source:tensor_layout"),
    explain=lazy("archspec_plain.source:explain"),
    open=lazy("archspec_plain.session:PlainSession"),
    trainer=lazy("archspec_plain.trainer:PlainTrainer"),
    modes=("eval", "train"),
    precisions=("float32", "float64"),
)

__all__ = ["BACKEND"]
