"""Every op by itself on TensorFlow: the emitted layer against the reference, its derivatives against torch's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from archspec.conformance.cases import weights
from archspec.conformance.compare import compare_all
from archspec.conformance.fields import schema
from archspec.op import Run
from archspec.ops import OPS
from archspec.reference import run
from tests.conformance.test_ops import cases
from tests.helpers.effort import examples
from tests.helpers.engine import Array
from tests.helpers.specs import checked
from tests.unit.keras.sessions import session


@pytest.mark.parametrize("kind", OPS)
def test_keras_computes_the_reference(kind: str) -> None:
    @examples(6 + 3 * len(schema(kind)))
    @given(cases(kind))
    def holds(case: tuple[str, Array, int]) -> None:
        text, x, seed = case
        graph = checked(text).graph
        tensors = weights(graph, seed)
        ours, theirs = session(graph, tensors), session(graph, tensors, "torch")
        rng = np.random.default_rng(seed)
        for train in (False, True):
            mode = "train" if train else "eval"
            expected = run(graph, tensors, x, Run(train=train, dropout=False), keep=True)
            shares = {head: rng.uniform(-1, 1, y.shape) for head, y in expected.outputs.items()}
            found = ours.gradients(x, lambda _, shares=shares: shares, train=train)
            torchs = theirs.gradients(x, lambda _, shares=shares: shares, train=train)
            compare_all(found.outputs, expected.outputs, bound=1e-10, what=f"{kind}, {mode}")
            slopes = {"x": found.input, **found.tensors}
            compare_all(slopes, {"x": torchs.input, **torchs.tensors}, bound=1e-9, what=f"{kind}, {mode}, derivatives")
            if train and expected.updates:
                state = ours.state().tensors
                moved = {name: state[name] for name in expected.updates}
                compare_all(moved, expected.updates, bound=1e-10, what=f"{kind}, moving statistics")
                ours.restore(theirs.state())

        again = session(graph, tensors).forward(x, keep=True)
        expected = run(graph, tensors, x, keep=True)
        compare_all(again.activations, expected.activations, bound=1e-10, what=f"{kind}, activations")

    holds()
