"""Training state kept in TensorFlow variables from step to step.

A function of hundreds of tensors takes TensorFlow long at each call before anything is computed,
and variables are updated in place. Integers are passed as tensors instead: TensorFlow may keep
integer variables off the GPU, where a compiled function could not find them.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# TensorFlow is typed in part only.

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


class TensorFlowState:
    """One state at a time, of a fixed structure."""

    def __init__(self) -> None:
        self.structure: Any = None
        self.variables: list[Any] = []
        """A variable for each tensor of the state, None for an integer."""

    def in_place(
        self, function: Callable[..., Any], trace: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Trace a function from a state to the next one so that it updates the variables in place.

        The function takes a state first and returns the next state first; so does the result.
        """

        def step(integers: Sequence[Any], *rest: Any) -> tuple[list[Any], Any]:
            before = tf.nest.map_structure(tf.convert_to_tensor, self._state(integers))
            state, result = function(before, *rest)
            return self._store(tf.nest.flatten(state)), result

        program = trace(step)

        def call(state: Any, *rest: Any) -> tuple[Any, Any]:
            leaves = tf.nest.flatten(state)
            if not self.variables:
                self.structure = tf.nest.map_structure(type, state)
                self.variables = [
                    tf.Variable(leaf) if leaf.dtype.is_floating else None for leaf in leaves
                ]
            integers, result = program(self._store(leaves), *rest)
            return self._state(integers), result

        return call

    def _store(self, leaves: Sequence[Any]) -> list[Any]:
        """Assign the floats to their variables and return the integers."""
        integers: list[Any] = []
        for variable, leaf in zip(self.variables, leaves, strict=True):
            if variable is None:
                integers.append(leaf)
            elif leaf is not variable:
                variable.assign(leaf)
        return integers

    def _state(self, integers: Sequence[Any]) -> Any:
        remaining = iter(integers)
        return tf.nest.pack_sequence_as(
            self.structure,
            [next(remaining) if variable is None else variable for variable in self.variables],
        )
