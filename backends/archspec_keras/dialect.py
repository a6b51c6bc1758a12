"""What Keras's source has of its own: functions of tensors, and layers that bear their paths as names."""

from __future__ import annotations

from archspec.codegen.dialect import Dialect
from archspec.codegen.names import RESERVED, identifier
from archspec.codegen.printer import List
from archspec_keras.lowerings import lower

# What the emitted file uses by these names.
_FILE = (
    "keras layers ops np reduce operator KerasTensor PathLike Sequence name x skip inputs heads train build_model"
    " load_weights layer_name neutral_shape dict list sum zip set isinstance sorted TRAIN_ONLY RENAMED ROLES"
).split()

_RESERVED = frozenset((*RESERVED, *_FILE))

KERAS = Dialect(
    lower=lower,
    reserved=_RESERVED,
    class_name=lambda text: identifier(text.lower(), _RESERVED, "block"),
    number_prefix="_",
    # A sequence is statements one after the other, which `body` writes from their calls.
    sequential=lambda keyed: List(tuple(code for _, code in keyed)),
    numbered=List,
    module_list=List,
    portable_paths=True,
)
