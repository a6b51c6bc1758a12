"""Every op by itself on ONNX Runtime, against the float64 reference: random fields, shapes, inputs and opsets, both modes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.conformance.cases import sensitivity, weights
from archspec.conformance.compare import compare_all
from archspec.conformance.fields import schema
from archspec.op import Run
from archspec.ops import OPS
from archspec.reference import run
from archspec.spec import Spec
from archspec_onnx.options import NEWEST, OLDEST
from tests.conformance.test_ops import cases
from tests.helpers.effort import examples
from tests.helpers.specs import checked
from tests.unit.onnx.built import ONNX, Array, accepted, built


def test_every_op_is_lowered() -> None:
    assert set(ONNX.lowered) == set(OPS)
    assert ONNX.gaps == {}


@pytest.mark.parametrize("kind", OPS)
def test_onnx_computes_the_reference(kind: str) -> None:
    @examples(5 + 3 * len(schema(kind)))
    @given(cases(kind), st.integers(OLDEST, NEWEST))
    def holds(case: tuple[str, Array, int], opset: int) -> None:
        text, x, seed = case
        spec = checked(text)
        tensors = weights(spec.graph, seed)
        single = x.astype(np.float32).astype(np.float64)
        for train in (False, True):
            agrees(spec, tensors, single, opset, train)

    holds()


def random_weights(spec: Spec, seed: int) -> dict[str, Array]:
    return weights(spec.graph, seed)


def agrees(spec: Spec, tensors: Mapping[str, Array], x: Array, opset: int, train: bool) -> None:
    """Outputs, activations and moved statistics are the reference's, as far as rounding lets them be."""
    mode = Run(train=train, dropout=False)
    expected = run(spec.graph, tensors, x, mode, keep=True)
    moved = sensitivity(lambda x: run(spec.graph, tensors, x, mode).outputs, x, expected.outputs, 2.0**-23)
    bound, what = 1e-5 + 4 * moved, f"{spec.name}, opset {opset}, {'train' if train else 'eval'}"
    with built(spec, tensors, opset=opset, train=train) as folder:
        accepted(ONNX.load(folder))
        found = ONNX.open(folder, spec.graph, "float32").forward(x, train=train, keep=True)
    compare_all(found.outputs, expected.outputs, bound=bound, what=what)
    compare_all(found.activations, expected.activations, bound=bound, what=what)
    assert found.updates.keys() == expected.updates.keys()
    if found.updates:
        compare_all(found.updates, expected.updates, bound=bound, what=f"{what}, moving statistics")
