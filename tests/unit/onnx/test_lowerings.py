"""Every op by itself on ONNX Runtime, in every opset that can be asked for; the suite holds the newest to more."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.conformance.fields import schema
from archspec.conformance.layers import layers
from archspec.conformance.ops import spread
from archspec.equivalence.inputs import VerifyInputs, fixed_cotangents, random_weights
from archspec.equivalence.measure import ROUNDING
from archspec.equivalence.modes import expected_values, measure
from archspec.equivalence.plan import compare_quantities
from archspec.equivalence.report import describe_difference
from archspec.frontend.loader import Spec
from archspec.ops import OPS
from archspec_onnx.options import NEWEST, OLDEST
from tests.helpers.effort import examples
from tests.helpers.specs import checked
from tests.unit.onnx.built import ONNX, Array, accepted, built


@pytest.mark.parametrize("kind", OPS)
def test_an_op_means_the_same_in_any_opset(kind: str) -> None:
    @examples(5 + 3 * len(schema(kind)))
    @given(layers(kind), st.integers(0, 2**32 - 1), st.integers(OLDEST, NEWEST))
    def holds(text: str, seed: int, opset: int) -> None:
        spec = checked(text)
        for train in (False, True):
            agrees(
                spec,
                random_weights(spec.graph, seed),
                spread((2, *spec.graph.input), seed),
                opset,
                train,
            )

    holds()


def agrees(spec: Spec, tensors: Mapping[str, Array], x: Array, opset: int, train: bool) -> None:
    """The checker accepts the model; outputs, activations and moved statistics are the reference's."""
    graph, mode = spec.graph, "train" if train else "eval"
    material = VerifyInputs(tensors, x, fixed_cotangents(graph, 0))
    with built(spec, tensors, opset=opset, train=train) as folder:
        accepted(ONNX.load(folder))
        found = measure(ONNX.open(folder, graph, "float32"), material, mode)
    single = ROUNDING["float32"]
    lines = compare_quantities(
        graph,
        f"opset {opset}",
        mode,
        "float32",
        found,
        expected_values(graph, material, mode, single),
        single,
    )
    wrong = [line for line in lines if not line.passed]
    assert not wrong, "\n".join(map(describe_difference, wrong))
