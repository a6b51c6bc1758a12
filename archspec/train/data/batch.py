"""What a step is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs [N, ...] and their labels [N]; `bad` names the samples of it that could not be read."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    bad: tuple[str, ...] = ()
