"""The built-in backend: a graph computed in numpy, float64, one op's `reference` after the other. It is the definition.

Derivatives are part of it: each op's `vjp`, one after the other, backwards.
"""

from archspec.reference.backward import gradients
from archspec.reference.forward import evaluate
from archspec.reference.session import ReferenceSession

__all__ = ["ReferenceSession", "evaluate", "gradients"]
