"""The dialect of Keras's source: functions of tensors, and layers that have paths as names."""

from __future__ import annotations

from archspec.codegen.dialect import Dialect
from archspec.codegen.names import RESERVED, identifier
from archspec.codegen.printer import List
from archspec_keras.lowerings import lower

# Names that the emitted file uses itself.
_FILE = (
    "keras layers ops np reduce operator KerasTensor PathLike Sequence "
    "name x skip inputs heads train "
    "build_model load_weights layer_name portable_shape TRAIN_ONLY RENAMED ROLES "
    "dict list sum zip set isinstance sorted"
).split()

_RESERVED = frozenset((*RESERVED, *_FILE))

KERAS = Dialect(
    lower=lower,
    reserved=_RESERVED,
    class_name=lambda text: identifier(text.lower(), _RESERVED, "block"),
    number_prefix="_",
    # A sequence is statements one after the other, which `FunctionBody` writes from their calls.
    sequential=lambda keyed: List(tuple(code for _, code in keyed)),
    numbered=List,
    module_list=List,
    portable_paths=True,
)
