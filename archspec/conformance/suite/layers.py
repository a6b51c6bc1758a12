"""Every op by itself, over random fields, shapes and inputs, in each mode and precision.

The gaps and the imprecise ops that a backend lists are tried as well, so that its lists stay true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from archspec.backend import Backend
from archspec.compiler import compile_spec
from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.fields import schema
from archspec.conformance.layers import layer_spec, layers, load_text, simplest
from archspec.conformance.ops import spread
from archspec.conformance.profile import examples, is_deep
from archspec.conformance.spec_failure import SpecFailure, spec_first
from archspec.diagnostics import Failure
from archspec.equivalence.inputs import (
    VerifyInputs,
    fixed_cotangents,
    random_weights,
    verify_inputs,
)
from archspec.ops import OPS

seeds = st.integers(0, 2**32 - 1)


def test_layer(backend_under_test: BackendUnderTest, backend: Backend, kind: str) -> None:
    if kind in backend.gaps:
        _is_a_gap(backend_under_test, backend, kind)
        return
    assert kind in backend.lowered, f"{kind} is neither lowered nor a gap"

    with spec_first():
        examples(_usual(backend_under_test, kind))(property_of(backend_under_test, kind))()
    if kind in backend.float32_constants and backend_under_test.is_default_engine:
        precise = replace(backend_under_test.target, backend=replace(backend, float32_constants={}))
        claims_float64 = replace(backend_under_test, target=precise)
        # It has to fail, so that nobody needs the failure to be shrunk.
        plainly = settings(examples(_usual(backend_under_test, kind)), phases=[Phase.generate])
        with pytest.raises(SpecFailure, match="the bound is"):
            plainly(property_of(claims_float64, kind))()


def _usual(backend_under_test: BackendUnderTest, kind: str) -> int:
    """Return how many layers are usually drawn; another engine runs the same source, and slowly."""
    if backend_under_test.is_default_engine:
        return 6 + 3 * len(schema(kind))
    return 1 + len(schema(kind)) // 2 if is_deep() else 1


def property_of(backend_under_test: BackendUnderTest, kind: str) -> Callable[[], None]:
    """Return the property that the backend agrees with the reference on layers of that kind."""

    @given(layers(kind), seeds, st.integers(2, 3))
    def holds(text: str, seed: int, batch: int) -> None:
        spec = load_text(text)
        x = spread((batch, *spec.graph.input), seed)
        material = VerifyInputs(
            random_weights(spec.graph, seed), x, fixed_cotangents(spec.graph, seed)
        )
        try:
            backend_under_test.check(spec, material, "eval", precision="float32")
            backend_under_test.check(spec, material, "train", "grad", "step", precision="float64")
        except (AssertionError, Failure) as error:
            raise SpecFailure(text, str(error), f"seed {seed} and a batch of {batch}") from None

    return holds


def _is_a_gap(backend_under_test: BackendUnderTest, backend: Backend, kind: str) -> None:
    """Check that a gap is refused with its code, and that it does not work after all."""
    spec = load_text(layer_spec(*simplest(kind)))
    with pytest.raises(Failure) as refused:
        compile_spec(spec, backend)
    assert backend.gaps[kind].code in refused.value.message
    willing = replace(
        backend_under_test.target, backend=replace(backend, lowered=set(OPS), gaps={})
    )
    try:
        replace(backend_under_test, target=willing).check(
            spec, verify_inputs(spec.graph, 0, 2), "eval"
        )
    except Exception:
        return
    pytest.fail(f"{kind} is listed as a gap, and works")
