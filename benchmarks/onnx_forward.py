"""The emitted googlenet on ONNX Runtime against torch's own exports, in CPU time of one thread.

torch exports the emitted torch model, so that all files have the same weights; their outputs are
compared first.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Figure, alternate_for, at_most, ratios

SPEC = "googlenet"
SECONDS = 20  # for each peer of a figure
BATCHES = (1, 8)


def figures(
    spec: str = SPEC, batches: tuple[int, ...] = BATCHES, seconds: float = SECONDS
) -> Iterator[Figure]:
    import numpy as np

    import archspec

    shape = archspec.load(spec).graph.input
    with TemporaryDirectory() as folder:
        sessions = {name: _session(path) for name, path in _files(spec, Path(folder)).items()}
    for batch in batches:
        x = np.random.default_rng(0).standard_normal((batch, *shape), np.float32)
        calls = {name: partial(_run, session, x) for name, session in sessions.items()}
        expected = calls["ours"]()
        for name, call in calls.items():
            np.testing.assert_allclose(
                call(), expected, rtol=0, atol=1e-5 * abs(expected).max(), err_msg=name
            )
        timed: dict[str, Callable[[], object]] = {**calls}
        times = alternate_for(timed, seconds * (len(calls) - 1), time.process_time)
        milliseconds = {name: [1000 * s for s in times[name]] for name in calls}
        mine = milliseconds.pop("ours")
        for peer, theirs in milliseconds.items():
            yield Figure(
                f"forward, batch {batch}",
                "ms",
                median(mine),
                at_most(1.02),
                peer,
                median(theirs),
                ratios(mine, theirs),
            )


def _files(spec: str, folder: Path) -> dict[str, Path]:
    """Write and return the ONNX files by name: ours first, then one per exporter."""
    import torch

    from archspec.backend import load as load_backend
    from archspec.compiler import load, write_build

    loaded = load(spec)
    for backend in ("torch", "onnx"):
        write_build(loaded, load_backend(backend), folder / backend)
    model = load_backend("torch").load(folder / "torch")
    x = torch.zeros(2, *loaded.graph.input)
    files = {"ours": folder / "onnx" / "model.onnx"}
    with warnings.catch_warnings(action="ignore"):  # the exporters warn about their own code
        files["torch.onnx, dynamo"] = folder / "dynamo.onnx"
        dynamic_shapes = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(
            model,
            (x,),
            folder / "dynamo.onnx",
            dynamo=True,
            dynamic_shapes=dynamic_shapes,
            verbose=False,
        )
        files["torch.onnx, TorchScript"] = folder / "script.onnx"
        axes = {"x": {0: "batch"}}
        torch.onnx.export(
            model,
            (x,),
            str(folder / "script.onnx"),
            dynamo=False,
            input_names=["x"],
            dynamic_axes=axes,
        )
    return files


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: Any, x: Any) -> Any:
    return session.run(None, {session.get_inputs()[0].name: x})[0]
