"""A state that TensorFlow holds in variables from step to step.

A function of hundreds of tensors takes TensorFlow long at each call before it computes anything; and what is
in variables is changed where it lies. Integers come and go as they are: TensorFlow may keep them off the GPU, where a
compiled function would not find their variables.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# TensorFlow is typed in part alone.

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


class Held:
    """One state at a time, of a structure that stays."""

    def __init__(self) -> None:
        self.structure: Any = None
        self.variables: list[Any] = []
        """A variable for each tensor of the state, None for an integer."""

    def stepping(
        self, function: Callable[..., Any], compiled: Callable[..., Any]
    ) -> Callable[..., Any]:
        """A function from a state, and more, to the next one, and more: compiled, over the state that is held."""

        def step(integers: Sequence[Any], *rest: Any) -> tuple[list[Any], Any]:
            before = tf.nest.map_structure(tf.convert_to_tensor, self._state(integers))
            state, more = function(before, *rest)
            return self._hold(tf.nest.flatten(state)), more

        program = compiled(step)

        def call(state: Any, *rest: Any) -> tuple[Any, Any]:
            leaves = tf.nest.flatten(state)
            if not self.variables:
                self.structure = tf.nest.map_structure(type, state)
                self.variables = [
                    tf.Variable(leaf) if leaf.dtype.is_floating else None for leaf in leaves
                ]
            integers, more = program(self._hold(leaves), *rest)
            return self._state(integers), more

        return call

    def _hold(self, leaves: Sequence[Any]) -> list[Any]:
        """Takes over what is not held yet, and gives back the integers."""
        integers: list[Any] = []
        for variable, leaf in zip(self.variables, leaves, strict=True):
            if variable is None:
                integers.append(leaf)
            elif leaf is not variable:
                variable.assign(leaf)
        return integers

    def _state(self, integers: Sequence[Any]) -> Any:
        rest = iter(integers)
        return tf.nest.pack_sequence_as(
            self.structure,
            [next(rest) if variable is None else variable for variable in self.variables],
        )
