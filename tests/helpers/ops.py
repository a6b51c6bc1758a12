"""One op by itself: built from a spec's fields, run in float64, and compared with torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from archspec.ir.op import EvalContext, Op, Reads, ShapeError
from archspec.ir.types import Shape
from archspec.ops import OPS

if TYPE_CHECKING:
    from archspec.ir.op import Array


def build(kind: str, **fields: Any) -> Op:
    return OPS[kind].model_validate(fields)


def batch(*shape: int, seed: int = 0) -> Array:
    """[N, *sample] of normal values."""
    return np.random.default_rng(seed).normal(size=shape)


def parameters(op: Op, *inputs: Shape, seed: int = 1) -> dict[str, Array]:
    """A random tensor for each role, far from its initial value; a moving variance is positive."""
    rng = np.random.default_rng(seed)
    found = {param.role: rng.normal(size=param.shape) for param in op.params(*inputs)}
    return {
        role: np.abs(value) + 0.1 if role == "running_var" else value
        for role, value in found.items()
    }


def evaluate(
    op: Op,
    *inputs: Array,
    params: Mapping[str, Array] | None = None,
    run: EvalContext | None = None,
) -> Array:
    """Run the reference; check that it gives the predicted shape and does not touch its inputs."""
    before = [x.copy() for x in inputs]
    y = op.reference(inputs, params or {}, run or EvalContext())
    assert y.shape == (len(inputs[0]), *op.shape(*(x.shape[1:] for x in inputs)))
    assert y.dtype == np.float64
    for x, old in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, old)
    return y


def positions(reads: Reads, output: int) -> range:
    """The positions that an output reads along an axis, those past the border included."""
    turns, index = divmod(output, len(reads.first))
    first, last, moved = reads.first[index], reads.last[index], turns * reads.advance
    if first is None or last is None:
        return range(0)
    return range(int(first + moved), int(last + moved) + 1, reads.step)


def tensors(params: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    return {role: torch.from_numpy(value) for role, value in params.items()}


def assert_same(found: Array, expected: torch.Tensor | Array) -> None:
    """Equal shapes, and values equal but for the rounding of float64."""
    wanted = expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)


def refusal(op: Op, *inputs: Shape) -> str:
    """The code with which it refuses these shapes; empty where it takes them."""
    try:
        op.shape(*inputs)
    except ShapeError as error:
        return error.code
    return ""


def assert_refused(code: str, op: Op, *inputs: Shape) -> None:
    with pytest.raises(ShapeError) as caught:
        op.shape(*inputs)
    assert caught.value.code == code
    assert caught.value.field in ("", *type(op).model_fields)


def flat_pads(pads: Any) -> list[int]:
    """((before, after), ...) in the order of torch's pad: the last axis first."""
    return [side for pair in reversed(pads) for side in pair]
