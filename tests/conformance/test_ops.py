"""Every op by itself: torch against the reference over random fields, shapes and inputs, forward and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.conformance.cases import layer, sensitivity, weights
from archspec.conformance.compare import compare, compare_all
from archspec.conformance.fields import schema
from archspec.conformance.ops import MAX_RANK, accepted, inputs, op_values, shapes, takes
from archspec.ops import OPS
from archspec.types import Shape
from tests.helpers.effort import examples
from tests.helpers.engine import Array, Engine
from tests.helpers.specs import checked


@st.composite
def cases(draw: st.DrawFn, kind: str) -> tuple[str, Array, int]:
    """A spec of that layer alone, a batch for it, and a seed for its weights."""
    shape = draw(shapes(*(rank for rank in range(MAX_RANK + 1) if takes(kind, rank))))
    entering = draw(_operands(kind, shape)) if OPS[kind].many else [shape]
    text = layer(kind, draw(op_values(kind, *entering)), *entering)
    return text, draw(inputs(checked(text).graph.input)), draw(st.integers(0, 2**32 - 1))


@st.composite
def _operands(draw: st.DrawFn, kind: str, shape: Shape) -> list[Shape]:
    """Two shapes or three that a merge takes: each as the first, or with one axis of another size."""
    found = [shape]
    for _ in range(draw(st.integers(1, 2))):
        axis = draw(st.integers(0, len(shape) - 1))
        other = (*shape[:axis], draw(st.sampled_from((1, 2, 5))), *shape[axis + 1 :])
        found.append(other if accepted(kind, {}, *found, other) else shape)
    return draw(st.permutations(found))


@pytest.mark.parametrize("kind", OPS)
def test_torch_computes_the_reference(kind: str) -> None:
    @examples(20 + 10 * len(schema(kind)))
    @given(cases(kind))
    def holds(case: tuple[str, Array, int]) -> None:
        text, x, seed = case
        spec = checked(text)
        engine = Engine.of(spec, weights(spec.graph, seed))

        # In float32, where input and weights round to what the reference gets, but all that follows rounds too.
        single = x.astype(np.float32).astype(np.float64)
        expected = engine.reference(single)
        slack = sensitivity(engine.reference, single, expected, 2.0**-23)
        compare(engine.predict(single), expected["main"], bound=1e-5 + 4 * slack, what=f"{kind}, float32")

        for train in (False, True):
            mode = "train" if train else "eval"
            compare_all(engine.outputs(x, train), engine.reference(x, train), bound=1e-10, what=f"{kind}, {mode}")
        if updates := engine.updates(x):
            compare_all(engine.state(updates), updates, bound=1e-10, what=f"{kind}, moving statistics")

    holds()


@pytest.mark.parametrize("kind", OPS)
def test_torch_has_the_derivatives_of_the_reference(kind: str) -> None:
    @examples(15 + 5 * len(schema(kind)))
    @given(cases(kind), st.booleans())
    def holds(case: tuple[str, Array, int], train: bool) -> None:
        text, x, seed = case
        spec = checked(text)
        engine = Engine.of(spec, weights(spec.graph, seed))
        rng = np.random.default_rng(seed)
        expected = engine.reference(x, train)
        shares: dict[str, Any] = {head: rng.uniform(-1, 1, y.shape) for head, y in expected.items()}
        # Differences of sums of this size are exact to about 1e-12 of it.
        size = sum(float(np.abs(expected[head] * share).sum()) for head, share in shares.items())
        for name, gradient in engine.gradients(x, shares, train).items():
            direction = rng.uniform(-1, 1, gradient.shape)
            slope = engine.slope(x, shares, train, name, direction)
            found = float((gradient * direction).sum())
            compare(found, slope, bound=1e-6, scale=abs(slope) + 0.01 * size, what=f"{kind}, d/d{name}")

    holds()
