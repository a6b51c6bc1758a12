"""Every op by itself against the reference, over random fields, shapes and inputs: in each mode, in each precision.

What a backend says that it cannot do, or not precisely, is tried as well: its lists cannot go stale.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.backend import Backend
from archspec.compiler import compile_spec
from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.fields import schema
from archspec.conformance.layers import layer_spec, layers, load_text, simplest
from archspec.conformance.ops import spread
from archspec.conformance.profile import examples
from archspec.diagnostics import Failure
from archspec.equivalence.test_inputs import Material, material, shares, weights
from archspec.ops import OPS

seeds = st.integers(0, 2**32 - 1)


def test_layer(backend_under_test: BackendUnderTest, backend: Backend, kind: str) -> None:
    if kind in backend.gaps:
        _is_a_gap(backend_under_test, backend, kind)
        return
    assert kind in backend.lowered, f"{kind} is neither lowered nor a gap"

    @examples((6 + 3 * len(schema(kind))) // (1 if backend_under_test.is_default_engine else 3))
    @given(layers(kind), seeds, st.integers(2, 3))
    def holds(text: str, seed: int, batch: int) -> None:
        spec = load_text(text)
        x = spread((batch, *spec.graph.input), seed)
        given = Material(weights(spec.graph, seed), x, shares(spec.graph, seed))
        backend_under_test.check(spec, given, "eval", precision="float32")
        backend_under_test.check(spec, given, "train", "grad", "step", precision="float64")

    holds()
    if kind in backend.float32_constants and backend_under_test.is_default_engine:
        precise = replace(backend_under_test.target, backend=replace(backend, float32_constants={}))
        backend_under_test = replace(backend_under_test, target=precise)
        with pytest.raises(AssertionError, match="the bound is"):
            holds()


def _is_a_gap(backend_under_test: BackendUnderTest, backend: Backend, kind: str) -> None:
    """A gap is refused with its code; one that works all the same has to be taken off the list."""
    spec = load_text(layer_spec(*simplest(kind)))
    with pytest.raises(Failure) as refused:
        compile_spec(spec, backend)
    assert backend.gaps[kind].code in refused.value.message
    willing = replace(
        backend_under_test.target, backend=replace(backend, lowered=set(OPS), gaps={})
    )
    try:
        replace(backend_under_test, target=willing).check(spec, material(spec.graph, 0, 2), "eval")
    except Exception:
        return
    pytest.fail(f"{kind} is listed as a gap, and works")
