"""The emitted Keras googlenet on TensorFlow against a handwritten one, in CPU time of one thread.

Both have the same weights. Times `predict`, and `train_on_batch` with three heads. The figures for
XLA (`jit_compile`) have no target.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Figure, alternate_for, at_most, ratios

SPEC = "googlenet"
BATCH = 8
SECONDS = 40  # for each figure


def figures() -> Iterator[Figure]:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for jit, train in product((False, True), repeat=2):
        calls = {name: _call(model, train, jit) for name, model in models(train).items()}
        mine, peer = (
            [1000 * s for s in seconds]
            for seconds in alternate_for(calls, SECONDS, time.process_time).values()
        )
        what = f"{'train_on_batch' if train else 'predict'}, batch {BATCH}{', XLA' if jit else ''}"
        target = None if jit else at_most(1.02)
        yield Figure(what, "ms", median(mine), target, "by hand", median(peer), ratios(mine, peer))


def models(train: bool) -> dict[str, Any]:
    """Return both models with the same weights; raise AssertionError if their outputs differ."""
    from archspec.backend import load as load_backend
    from archspec.codegen.runtime import import_model
    from archspec.compiler import load, write_build
    from benchmarks.peers_keras import copy_weights, googlenet

    with TemporaryDirectory() as scratch:
        folder = write_build(load(SPEC), load_backend("keras"), Path(scratch) / "model")
        ours = import_model(folder).build_model(folder / "weights.safetensors", train=train)
    theirs = googlenet(train)
    copy_weights(theirs, ours)
    agree(ours, theirs)
    return {"ours": ours, "theirs": theirs}


def agree(ours: Any, theirs: Any) -> None:
    """Raise AssertionError if two models differ in any head, with dropout off."""
    import numpy as np

    x = _images(1)
    for mine, peer in zip(_heads(ours(x)), _heads(theirs(x)), strict=True):
        np.testing.assert_allclose(mine, peer, rtol=0, atol=1e-5 * abs(peer).max())


def _heads(outputs: Any) -> list[Any]:
    import numpy as np

    if isinstance(outputs, dict):
        return [np.asarray(outputs[name]) for name in sorted(outputs)]
    return [np.asarray(outputs)]


def _images(count: int) -> Any:
    import numpy as np

    return np.random.default_rng(0).standard_normal((count, 224, 224, 3), np.float32)


def _call(model: Any, train: bool, jit: bool) -> Callable[[], object]:
    import keras
    import numpy as np

    x = _images(BATCH)
    if not train:
        model.compile(jit_compile=jit)
        return partial(model.predict, x, verbose=0)
    weights = {"main": 1.0, "aux1": 0.3, "aux2": 0.3}
    loss = {head: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for head in weights}
    optimizer = keras.optimizers.SGD(1e-4, momentum=0.9)
    model.compile(optimizer, loss, loss_weights=weights, jit_compile=jit)
    return partial(model.train_on_batch, x, dict.fromkeys(weights, np.arange(BATCH)))
