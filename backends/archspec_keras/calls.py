"""The calls of a Keras model: a layer under its name, applied to the values that it reads."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.codegen.call_location import CallLocation
from archspec.codegen.lowering import Merge
from archspec.codegen.printer import Call, CallResult, Code, List
from archspec_keras.paths import SEPARATOR, Paths

_SUFFIXES = {"layers.ZeroPadding": "pad", "layers.Permute": "permute", "layers.Reshape": "reshape"}
"""Ends of the names of layers that go before another one, by how their class's name begins."""


class KerasCalls:
    """Implements `archspec.codegen.function_body.CallStyle`."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths

    def block_call(self, location: CallLocation, call: Call, operands: Sequence[str]) -> Call:
        """Return the call of a block's function, as in `inception(x, 64, name="inception_3a")`."""
        inputs = (("", operand) for operand in operands)
        return Call(call.func, (*inputs, *call.args, ("name", self.paths.name_code(location))))

    def layer_call(self, location: CallLocation, call: Call, operand: str, is_last: bool) -> Code:
        """Return the call of a layer, as in `layers.ReLU(name="conv1-relu")(x)`."""
        name = self.paths.name_code(location)
        if not is_last:
            name = f'{name[:-1]}{SEPARATOR}{_suffix(call.name)}"'
        return CallResult(Call(call.func, (*call.args, ("name", name))), operand)

    def merge_call(self, location: CallLocation, merge: Merge, operands: Sequence[str]) -> Code:
        """Return the call of a merge layer, as in `layers.Add(name="join")([x, y])`."""
        assert merge.module is not None
        layer = Call(merge.module.target, (("name", self.paths.name_code(location)),))
        return CallResult(layer, List(tuple(operands)))


def _suffix(target: str) -> str:
    matches = (suffix for start, suffix in _SUFFIXES.items() if target.startswith(start))
    return next(matches, "before")
