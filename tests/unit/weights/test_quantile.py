from __future__ import annotations

import ast
import math
from decimal import Decimal, localcontext
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archspec.weights import init, quantile

EXACT = {
    "abs",
    "clip",
    "empty",
    "frexp",
    "full",
    "full_like",
    "maximum",
    "minimum",
    "sqrt",
    "where",
}
HARMLESS = {"float32", "uint64", "random", "Philox"}
GRID: Any = np.concatenate(
    [
        np.linspace(1e-3, 1 - 1e-3, 4001),
        10.0 ** -np.linspace(0.5, 16, 500),
        1 - 2.0 ** -np.arange(2, 54),
    ]
)


def test_quantiles_are_those_of_the_standard_library() -> None:
    expected = [NormalDist().inv_cdf(u) for u in GRID]
    np.testing.assert_allclose(quantile.quantile(GRID), expected, rtol=4e-15, atol=1e-16)


@given(st.floats(2.0**-54, 1 - 2.0**-53))
def test_the_distribution_function_takes_a_quantile_back(u: float) -> None:
    """By erfc, of which the quantile knows nothing; the bound is the quantile's rounding, seen through the density."""
    (x,) = quantile.quantile(np.array([u])).tolist()
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    assert math.erfc(-x / math.sqrt(2)) / 2 == pytest.approx(
        u, rel=1e-14, abs=4e-15 * abs(x) * density
    )


@given(st.floats(1e-300, 1e300))
@example(0.7071068)  # where the series has furthest to go
@example(1.4142135)
def test_the_logarithm_is_that_of_long_decimals(x: float) -> None:
    with localcontext() as context:
        context.prec = 50
        expected = float(Decimal(x).ln())
    assert quantile.log(np.array([x]))[0] == pytest.approx(expected, rel=4e-16, abs=2e-16)


def test_a_value_does_not_depend_on_its_place_in_the_array() -> None:
    """Vector units take the ends of an array by other instructions."""
    together = quantile.quantile(GRID)
    assert all(quantile.quantile(GRID[i : i + 1])[0] == together[i] for i in range(0, len(GRID), 7))


@pytest.mark.parametrize("module", [quantile, init])
def test_numpy_is_asked_for_exactly_rounded_functions_only(module: object) -> None:
    tree = ast.parse(Path(str(vars(module)["__file__"])).read_text())
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {
        node.attr
        for node in attributes
        if isinstance(node.value, ast.Name) and node.value.id == "np"
    }
    assert used <= EXACT | HARMLESS
    assert "sqrt" in used or module is init
