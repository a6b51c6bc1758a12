"""The effect of rounding on the result of a computation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def sensitivity(
    compute: Callable[[Array], Mapping[str, Array]],
    x: Array,
    expected: Mapping[str, Array],
    size: float,
) -> float:
    """Return how far the outputs move, relative to their scale, if each input moves by `size`.

    What moves far has lost its digits on the way, as a difference of near equals has: no two
    engines agree on it.
    """
    moved = compute(x * (1 + size * np.random.default_rng(0).uniform(-1, 1, x.shape)))
    scales = {name: float(np.abs(y).max()) for name, y in expected.items()}
    return max(
        float(np.abs(moved[name] - y).max()) / scales[name] if scales[name] else 0.0
        for name, y in expected.items()
    )
