"""A backend's declaration: every op is lowered or a gap with a reason, and builds repeat."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from archspec.backend import Backend
from archspec.compiler import write_build
from archspec.conformance.layers import layer_spec, load_text, simplest
from archspec.equivalence.modes import MODES
from archspec.ops import OPS
from archspec.weights.weight_source import WeightSource


def test_every_op_is_lowered_or_a_gap(backend: Backend) -> None:
    lowered, gaps = set(backend.lowered), set(backend.gaps)
    assert not lowered & gaps, "an op that is lowered is no gap"
    assert lowered | gaps == set(OPS), "an op is one or the other"


def test_every_gap_has_a_code_and_a_reason(backend: Backend) -> None:
    codes = [gap.code for gap in backend.gaps.values()]
    assert len(set(codes)) == len(codes)
    assert all(gap.code.strip() and gap.reason.strip() for gap in backend.gaps.values())


def test_it_can_do_something(backend: Backend) -> None:
    assert "eval" in backend.modes
    assert set(backend.modes) <= set(MODES)
    assert backend.precisions


def test_the_same_graph_gives_the_same_files(backend: Backend) -> None:
    spec = load_text(layer_spec(*simplest(min(backend.lowered))))
    with tempfile.TemporaryDirectory() as folder:
        one, two = (
            write_build(
                spec, backend, Path(folder) / name, weights=WeightSource(seed=1), record=False
            )
            for name in ("one", "two")
        )
        names = sorted(path.name for path in one.iterdir())
        assert names == sorted(path.name for path in two.iterdir())
        assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def test_every_tensor_has_a_name_and_a_layout_that_leads_back(backend: Backend) -> None:
    import numpy as np

    for kind in sorted(backend.lowered):
        graph = load_text(layer_spec(*simplest(kind))).graph
        natives = backend.tensor_layout(graph)
        shapes = {name: param.shape for name, _, param in graph.parameters()}
        assert set(natives) == set(shapes), kind
        assert len({native.name for native in natives.values()}) == len(natives), kind
        for name, native in natives.items():
            values = np.arange(math.prod(shapes[name])).reshape(shapes[name])
            there = native.from_portable(values)
            assert there.shape == tuple(native.shape), name
            assert (native.to_portable(shapes[name], there) == values).all(), name


def test_every_node_can_be_explained(backend: Backend) -> None:
    for kind in sorted(backend.lowered):
        graph = load_text(layer_spec(*simplest(kind))).graph
        assert backend.explain(graph, graph.nodes[-1]).strip(), kind
