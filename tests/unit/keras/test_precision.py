"""Double precision is Keras's own only while a session runs, and single precision only what it is without archspec."""

from __future__ import annotations

import os
import sys

import keras
import pytest

from archspec_keras.precision import compute_precision
from tests.helpers import forked

PROGRAM = """
import keras, numpy as np
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE as table
from archspec.conformance.compare import compare_all
from archspec.equivalence.inputs import random_weights
from archspec.reference import ReferenceSession
from archspec.backend.session import SgdConfig
from tests.helpers.graphs import Builder
from tests.unit.keras.sessions import session

def settings():
    wide = None
    if keras.backend.backend() == "jax":
        import jax
        wide = jax.config.read("jax_enable_x64")
    return keras.config.floatx(), keras.config.dtype_policy().name, dict(table), wide

before = settings()
b = Builder(4)
b.add("norm", "batch_norm")
b.add("gelu", "gelu")
b.add("linear", "linear", out=3)
graph = b.graph()
given = random_weights(graph, seed=1)
x = np.random.default_rng(2).normal(size=(5, 4))
double, single, reference = session(graph, given), session(graph, given, "keras", "float32"), ReferenceSession(graph, given)
for each in (double, reference):
    each.step(x, lambda outputs: outputs, SgdConfig(learning_rate=0.1, momentum=0.9))
    assert settings() == before
compare_all(double.state().tensors, reference.state().tensors, bound=1e-12)
compare_all(double.state().slots, reference.state().slots, bound=1e-12)
compare_all(double.forward(x).outputs, reference.forward(x).outputs, bound=1e-12)
assert single.forward(x).outputs["main"].dtype == np.float32
assert double.forward(x).outputs["main"].dtype == np.float64
assert settings() == before
"""


@pytest.mark.parametrize("engine", ["tensorflow", "jax", "torch"])
def test_a_session_leaves_every_setting_as_it_was(engine: str) -> None:
    environment = {**os.environ, "KERAS_BACKEND": engine, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = forked.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr


def test_it_is_as_it_was_after_an_error_too() -> None:
    before = keras.config.floatx()
    with pytest.raises(ZeroDivisionError), compute_precision("float64"):
        raise ZeroDivisionError
    assert keras.config.floatx() == before


def test_single_precision_narrows_no_more_than_keras_does() -> None:
    from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE as TABLE

    before = dict(TABLE)
    with compute_precision("float32"):
        assert before == TABLE
