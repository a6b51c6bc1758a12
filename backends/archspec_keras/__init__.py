"""The Keras backend: source that reads as if written by hand. Emitting it needs no Keras."""

from __future__ import annotations

from archspec.backend import Backend, Format
from archspec.backend.lazy import lazy
from archspec_keras.engines import ENGINES
from archspec_keras.lowerings import LOWERED

BACKEND = Backend(
    name="keras",
    framework="keras",
    extra="keras",
    lowered=frozenset(LOWERED),
    gaps={},
    emit=lazy("archspec_keras.source:emit"),
    load=lazy("archspec_keras.runtime:load_model"),
    predict=lazy("archspec_keras.runtime:predict"),
    tensor_layout=lazy("archspec_keras.layout:tensor_layout"),
    explain=lazy("archspec_keras.explain:explain"),
    open=lazy("archspec_keras.engines:open_session"),
    trainer=lazy("archspec_keras.engines:open_trainer"),
    modes=("eval", "train", "grad", "step"),
    precisions=("float32", "float64"),
    file_runners={".keras": lazy("archspec_keras.saved_model:run_saved_model")},
    formats=(
        Format(
            name="keras",
            suffixes=(".keras",),
            read=lazy("archspec_keras.files:read_keras"),
            write=lazy("archspec_keras.files:write_keras"),
            recognizes=lazy("archspec_keras.recognition:is_keras_archive"),
            libraries={"keras.applications": lazy("archspec_keras.libraries:application_tensors")},
        ),
    ),
    engines=ENGINES,
)

__all__ = ["BACKEND"]
