"""Verify by computing that a spec's models on several backends are one network.

>>> import archspec
>>> report = archspec.verify(archspec.load("conv5x5"), backends=["torch"], modes=["eval"])
>>> report.raise_if_different()
>>> [(line.quantity, line.verdict) for line in report.lines]
[('outputs', 'same'), ('activations', 'same')]
"""

from archspec.equivalence.report import DifferenceError, VerifyReport
from archspec.equivalence.verify import verify

__all__ = ["DifferenceError", "VerifyReport", "verify"]
