"""The precision that Keras computes in, set for the length of a block."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# Keras and the engines are typed in part only.

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import keras

from archspec.backend.session import Precision


@contextmanager
def compute_precision(precision: Precision) -> Generator[None]:
    """Build and compute in this precision within the block; restore every setting after it.

    The settings are those of the whole process. Except on TensorFlow, Keras rounds most float64
    results to float32, and so does JAX by default. Keras decides by a table of its own that nothing
    public changes.
    """
    from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE as NARROWED

    with ExitStack() as restore:
        restore.callback(keras.config.set_floatx, keras.config.floatx())
        restore.callback(keras.config.set_dtype_policy, keras.config.dtype_policy())
        keras.config.set_floatx(precision)
        keras.config.set_dtype_policy(precision)
        if precision == "float64":
            restore.callback(NARROWED.update, {"float64": NARROWED["float64"]})
            NARROWED["float64"] = precision
            if keras.backend.backend() == "jax":
                import jax

                enabled = jax.config.read("jax_enable_x64")
                restore.callback(jax.config.update, "jax_enable_x64", enabled)
                jax.config.update("jax_enable_x64", True)
        yield
