"""The built-in backend, which defines what graphs compute: numpy, float64, op by op.

Derivatives are part of it: each op's `vjp`, one after the other, backwards.
"""

from archspec.reference.backward import gradients
from archspec.reference.forward import evaluate
from archspec.reference.session import ReferenceSession

__all__ = ["ReferenceSession", "evaluate", "gradients"]
