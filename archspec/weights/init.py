"""Initial weights: the same bits on every machine for a spec's `init`, a seed and a name.

Each tensor has its own stream of Philox, a counter-based generator, keyed by the SHA-256 of seed
and name, so that a tensor's values do not depend on the others, on their order or on a framework.
Only raw bits are taken from the stream, which numpy keeps stable across versions; uniforms and
normals are computed from them with exactly rounded arithmetic.

>>> import archspec
>>> tensors = initial_tensors(archspec.load("lenet5").graph, seed=0)
>>> tensors["c1.conv.weight"].shape, tensors["c1.conv.weight"].dtype.name
((6, 1, 5, 5), 'float32')
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from archspec._numpy import Array, np
from archspec.ir.document import Init, Initializer
from archspec.ir.graph import Graph
from archspec.ir.op import Role
from archspec.ir.types import Shape
from archspec.weights.quantile import quantile

BLOCK = (
    1 << 13
)  # values at a time: what is computed with stays in the cache, and malloc has it at hand
TRUNCATED_NORMAL = (
    0.022750131948179209,
    0.954499736103641586,
)  # P(x < -2) and P(|x| < 2) of a standard normal variable


def initial_tensors(
    graph: Graph, seed: int = 0, defaults: Mapping[str, Mapping[Role, Init]] | None = None
) -> dict[str, Array]:
    """Return every tensor of a graph by portable name, as float32.

    A tensor starts as its step says (`init`, by role), else as `defaults` say for its op (by kind,
    then role), else as the op declares. Raises ValueError for a rule that is unknown.
    """
    tensors: dict[str, Array] = {}
    for name, node, param in graph.parameters():
        default = (defaults or {}).get(node.op.kind, {}).get(param.role, param.init)
        tensors[name] = initial_tensor(
            node.init.get(param.role, default), param.shape, param.fan, seed, name
        )
    return tensors


def initial_tensor(
    rule: str | float | Initializer, shape: Shape, fan: tuple[int, int], seed: int, name: str
) -> Array:
    """Return a tensor by its rule; `fan` is (in, out), and seed and name choose the stream.

    >>> bias = initial_tensor(0.5, (3,), (1, 1), seed=0, name="conv.bias")
    >>> bias.tolist()
    [0.5, 0.5, 0.5]
    """
    kind, number = _resolve(rule, fan, name)
    if kind == "constant":
        return np.full(shape, number, np.float32)
    key = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:16], "little")
    stream: Any = np.random.Philox(key=key)
    values = np.empty(math.prod(shape), np.float32)
    for start in range(0, values.size, BLOCK):
        block = values[start : start + BLOCK]
        block[:] = number * _standard(kind, uniforms(stream, block.size))
    return values.reshape(shape)


def uniforms(stream: Any, count: int) -> Array:
    """Return the next numbers 0 < u < 1 of a stream: multiples of 2**-53, 2**-54 in place of 0."""
    return np.maximum((stream.random_raw(count) >> np.uint64(11)) * 2.0**-53, 2.0**-54)


def _standard(kind: str, u: Array) -> Array:
    """Turn uniform numbers into draws from a distribution of scale 1."""
    if kind == "uniform":
        return 2 * u - 1
    if kind == "normal":
        return quantile(u)
    return np.clip(quantile(TRUNCATED_NORMAL[0] + TRUNCATED_NORMAL[1] * u), -2, 2)


def _resolve(rule: str | float | Initializer, fan: tuple[int, int], name: str) -> tuple[str, float]:
    """Return a rule's distribution and scale: a constant, a standard deviation, or half a width."""
    if isinstance(rule, int | float):
        return "constant", rule
    if isinstance(rule, Initializer):
        return next((kind, number) for kind, number in rule if number is not None)
    inward, outward = fan
    variances = {"xavier": 2 / (inward + outward), "he": 2 / inward, "lecun": 1 / inward}
    family, _, kind = rule.partition("_")
    if family not in variances or kind not in ("uniform", "normal"):
        raise ValueError(f"unknown initialiser {rule!r} for {name}")
    return kind, math.sqrt(variances[family] * (3 if kind == "uniform" else 1))
