"""Figures of a tensor, whatever its values: NaN of any kind, and numbers whose squares no float holds."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from archspec.weights.inspect import summarize


def test_a_signalling_nan_is_counted_without_a_warning() -> None:
    values = np.array([0x7F800001, 0xFFA00000, 0x3F800000], np.uint32).view(np.float32)
    found = summarize("it", values)
    assert (found.nan, found.inf, found.mean) == (2, 0, 1.0)


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e99, 1e101, 1e200, 1.7e308])
def test_figures_of_numbers_of_any_size(scale: float) -> None:
    values = np.array([-1.0, 0.5, 0.25, 1.0]) * scale
    exact = [Fraction(value) for value in values.tolist()]
    mean = sum(exact) / 4
    variance = sum((value - mean) ** 2 for value in exact) / 4 / Fraction(scale) ** 2
    found = summarize("it", values)
    assert (found.min, found.max) == (-scale, scale)
    assert found.mean == pytest.approx(float(mean), rel=1e-12)
    assert found.std == pytest.approx(math.sqrt(variance) * scale, rel=1e-12)
