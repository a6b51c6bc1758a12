"""The frameworks, imported once for all processes that `tests.helpers.forked` starts.

Keras is not among them: it settles its engine when it is imported.
"""

import os
import sys
import warnings
from importlib import import_module

MODULES = (
    "numpy",
    "onnx",
    "onnxruntime",
    "pydantic",
    "safetensors.numpy",
    "tensorflow",
    "torch",
)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for module in MODULES:
        import_module(module)

# TensorFlow imports Keras as it is imported itself.
for name in [name for name in sys.modules if name.partition(".")[0] == "keras"]:
    del sys.modules[name]
