"""Every op by itself: the emitted layer against the reference, in double precision, with derivatives by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.conformance.cases import weights
from archspec.conformance.compare import compare, compare_all
from archspec.conformance.layers import layers, read
from archspec.ops import OPS
from archspec.reference.session import ReferenceSession
from archspec.session import State
from tests.helpers.effort import examples
from tests.unit.keras.sessions import session


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis:UserWarning")  # over a single channel
@pytest.mark.parametrize("kind", OPS)
def test_keras_computes_the_reference_and_its_derivatives(kind: str) -> None:
    @examples(12)
    @given(layers(kind), st.integers(0, 2**32 - 1))
    def holds(text: str, seed: int) -> None:
        graph = read(text).graph
        tensors = weights(graph, seed)
        rng = np.random.default_rng(seed)
        x = rng.normal(scale=2.0, size=(int(rng.integers(2, 4)), *graph.input))
        ours, theirs = session(graph, tensors), ReferenceSession(graph, dict(tensors))
        for train in (False, True):
            what = f"{kind}, {'train' if train else 'eval'}"
            found, expected = ours.forward(x, train=train, keep=True), theirs.forward(x, train=train, keep=True)
            compare_all(found.outputs, expected.outputs, bound=1e-10, what=what)
            compare_all(found.activations, expected.activations, bound=1e-10, what=what)
            assert set(found.updates) == set(expected.updates)
            if found.updates:
                compare_all(found.updates, expected.updates, bound=1e-10, what=f"{what}, moving statistics")
            shares = {head: rng.uniform(-1, 1, y.shape) for head, y in expected.outputs.items()}
            for opened in (ours, theirs):
                opened.restore(State(dict(tensors), {}))
            slopes = [opened.gradients(x, lambda _, shares=shares: shares, train=train) for opened in (ours, theirs)]
            given_back, wanted = ({"x": s.input, **s.tensors} for s in slopes)
            assert set(given_back) == set(wanted)
            for name, slope in wanted.items():
                # What is all but 0 is so by cancellation, and held against the shares that were taken back.
                scale = max(float(np.abs(slope).max(initial=0)), 1e-2)
                compare(given_back[name], slope, bound=1e-9, scale=scale, what=f"{what}, d/d{name}")
            for opened in (ours, theirs):
                opened.restore(State(dict(tensors), {}))

    holds()
