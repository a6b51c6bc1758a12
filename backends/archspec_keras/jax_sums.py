"""Sums of half precision values in float32, in functions that JAX traces.

The derivative of a broadcast is a sum, as of a bias's gradient over a batch and its positions. JAX
sums in the type of the values: in bfloat16 a sum stops growing after a few hundred of them.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# JAX types its jaxprs only in part.

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax import numpy as jnp
from jax.extend import core

SUMS = ("reduce_sum", "reduce_window_sum", "cumsum")
"""JAX's primitives that add many values."""
HALF_TYPES = (jnp.bfloat16, jnp.float16)
CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call")
"""Primitives that call a function and do nothing else, once their derivatives are taken."""


def summing_in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its sums of bfloat16 and float16 values computed in float32."""

    def summed(*args: Any) -> Any:
        jaxpr, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        outputs = _evaluate(jaxpr, *jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return summed


def _evaluate(closed: Any, *args: Any) -> list[Any]:
    """Compute a jaxpr equation by equation, sums of half precision in float32."""
    jaxpr = closed.jaxpr
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    values |= zip(jaxpr.invars, args, strict=True)

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        results = _apply(equation, inputs)
        values |= zip(equation.outvars, results, strict=True)
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation: Any, inputs: list[Any]) -> list[Any]:
    name = equation.primitive.name
    if name in CALLS:
        called = equation.params.get("jaxpr") or equation.params["call_jaxpr"]
        return _evaluate(called, *inputs)
    if name not in SUMS or not any(map(_is_half, inputs)):
        return _bind(equation, inputs)
    wide = [value.astype(jnp.float32) if _is_half(value) else value for value in inputs]
    results = zip(_bind(equation, wide), equation.outvars, strict=True)
    return [value.astype(variable.aval.dtype) for value, variable in results]


def _is_half(value: Any) -> bool:
    return getattr(value, "dtype", None) in HALF_TYPES


def _bind(equation: Any, inputs: list[Any]) -> list[Any]:
    """Apply an equation's primitive; functions inside, as of a loop, sum in float32 too."""
    primitive = equation.primitive
    params = {name: _map_jaxprs(value) for name, value in equation.params.items()}
    result = primitive.bind(*inputs, **params)
    return result if primitive.multiple_results else [result]


def _map_jaxprs(value: Any) -> Any:
    if isinstance(value, core.ClosedJaxpr):
        return jax.make_jaxpr(partial(_evaluate, value))(*value.in_avals)
    if isinstance(value, (tuple, list)) and any(isinstance(v, core.ClosedJaxpr) for v in value):
        return type(value)(map(_map_jaxprs, value))
    return value
