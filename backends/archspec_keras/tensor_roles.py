"""The names of Keras's variables for the roles of a spec's tensors: one table for the backend.

The layout, the reader of `.keras` files and the emitted loader all use it.
"""

from __future__ import annotations

from archspec.ir.op import Op

KERNEL = {"weight": "kernel", "bias": "bias"}
NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
PRELU = {"weight": "alpha"}
"""By role, the variables of a kind of layer, in the order in which the layer creates them."""

ROLES = {
    variables[role]: role
    for role in NORM
    for variables in (KERNEL, NORM, PRELU)
    if variables.get(role, role) != role
}
"""By variable, the role; a variable that has the name of its role is left out."""


def variable_name(op: Op, role: str) -> str:
    """Return the name of the variable that holds a role of an op.

    >>> from archspec.ops import OPS
    >>> variable_name(OPS["batch_norm"](), "running_var")
    'moving_variance'
    """
    if op.kind == "prelu":
        return PRELU[role]
    return (NORM if op.family == "norm" else KERNEL)[role]
