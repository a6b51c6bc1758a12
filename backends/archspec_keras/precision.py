"""The precision that Keras computes in, for as long as it is asked for."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# Keras and the engines are typed in part alone.

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import keras

from archspec.backend.session import Precision


@contextmanager
def precise(precision: Precision) -> Generator[None]:
    """Keras builds and computes in that precision within; the whole process does, and afterwards as before.

    Keras rounds most results in double precision to single, but on TensorFlow; JAX does so too unless it is told. For
    Keras that stands in a table of its own, and nothing public changes it.
    """
    from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE as NARROWED

    with ExitStack() as after:
        after.callback(keras.config.set_floatx, keras.config.floatx())
        after.callback(keras.config.set_dtype_policy, keras.config.dtype_policy())
        keras.config.set_floatx(precision)
        keras.config.set_dtype_policy(precision)
        if precision == "float64":
            after.callback(NARROWED.update, {"float64": NARROWED["float64"]})
            NARROWED["float64"] = precision
            if keras.backend.backend() == "jax":
                import jax

                after.callback(
                    jax.config.update, "jax_enable_x64", jax.config.read("jax_enable_x64")
                )
                jax.config.update("jax_enable_x64", True)
        yield
