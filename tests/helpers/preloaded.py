"""The frameworks, imported once for all processes that `tests.helpers.forked` starts.

Keras is not among them: it settles its engine when it is imported.
"""

import os
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import numpy  # noqa: F401
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import pydantic  # noqa: F401
    import safetensors.numpy  # noqa: F401
    import tensorflow  # noqa: F401
    import torch  # noqa: F401

# TensorFlow imports Keras as it is imported itself.
for name in [name for name in sys.modules if name.partition(".")[0] == "keras"]:
    del sys.modules[name]
