"""One layer as a spec of its own: random ones, and the simplest one of each op.

>>> layer_spec(*simplest("relu")).splitlines()[-1]
'network: [{name: layer, relu: ~}]'
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from archspec.compiler import load
from archspec.conformance.ops import MAX_RANK, make_op, op_values, shapes, simple_fields, takes_rank
from archspec.equivalence.layer import layer_spec
from archspec.frontend.loader import Spec
from archspec.ir.types import Shape
from archspec.ops import OPS


def load_text(text: str) -> Spec:
    """Return the checked spec of a text. Raise `SpecError`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path)


def simplest(kind: str) -> tuple[Any, ...]:
    """Return the arguments of `layer_spec` for an op with the fewest fields."""
    rank = next(rank for rank in (2, 1, 0, 3) if takes_rank(kind, rank))
    shape = (4, 6, 5, 6)[: rank + 1]
    fields = next(iter(simple_fields(kind, shape)))
    return (kind, fields, *(shape,) * (2 if OPS[kind].variadic else 1))


@st.composite
def layers(draw: st.DrawFn, kind: str) -> str:
    """Draw a spec of one layer of that kind, with random fields on an input of random shape."""
    shape = draw(shapes(*(rank for rank in range(MAX_RANK + 1) if takes_rank(kind, rank))))
    entering = draw(_operands(kind, shape)) if OPS[kind].variadic else [shape]
    return layer_spec(kind, draw(op_values(kind, *entering)), *entering)


@st.composite
def _operands(draw: st.DrawFn, kind: str, shape: Shape) -> list[Shape]:
    """Draw two or three shapes that a merge takes.

    Each is equal to the first, or differs from it in the size of one axis.
    """
    drawn = [shape]
    for _ in range(draw(st.integers(1, 2))):
        axis = draw(st.integers(0, len(shape) - 1))
        other = (*shape[:axis], draw(st.sampled_from((1, 2, 5))), *shape[axis + 1 :])
        drawn.append(other if make_op(kind, {}, *drawn, other) else shape)
    return draw(st.permutations(drawn))


__all__ = ["layer_spec", "layers", "load_text", "simplest"]
