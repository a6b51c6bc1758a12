"""Every op and every shipped spec on a GPU against the float64 reference, and what TF32 changes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import archspec
from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.compare import compare
from archspec.conformance.profile import examples
from archspec.conformance.spec_failure import spec_first
from archspec.conformance.suite.layers import property_of
from archspec.equivalence.inputs import verify_inputs
from archspec.frontend.files import shipped_folder
from archspec.ops import OPS
from archspec.reference import evaluate
from archspec_torch import BACKEND
from archspec_torch.session import TorchSession

SPECS = sorted(path.stem for path in shipped_folder().glob("*.yaml"))
ON_GPU = BackendUnderTest.local(replace(BACKEND, open=partial(TorchSession, device="cuda")))


@pytest.mark.parametrize("kind", OPS)
def test_a_layer_is_that_of_the_reference(kind: str) -> None:
    with spec_first():
        examples(8)(property_of(ON_GPU, kind))()


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_is_that_of_the_reference(name: str) -> None:
    spec = archspec.load(name)
    given = verify_inputs(spec.graph, 0, 2)
    ON_GPU.check(spec, given, "eval", "train", precision="float32")
    ON_GPU.check(spec, given, "eval", "train", "grad", "step", precision="float64")


def test_tf32_costs_digits_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    """TF32 keeps three digits of each factor, and is torch's default in convolutions."""
    spec = archspec.load("googlenet")
    given = verify_inputs(spec.graph, 0, 2)
    expected = evaluate(spec.graph, given.tensors, given.x).outputs["main"]
    session = ON_GPU.open(spec, given, "float32")
    for allowed in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
        actual = session.forward(given.x).outputs["main"]
        deviation = np.abs(actual - expected).max() / np.abs(expected).max()
        with capsys.disabled():
            print(f"\ngooglenet, TF32 {'on' if allowed else 'off'}: deviates by {deviation:.1e}")
        compare(actual, expected, bound=1e-2 if allowed else 1e-5)
