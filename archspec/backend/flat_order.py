"""The order of flattened features, followed through the layers that a file describes.

Readers of files follow values from layer to layer: what flattens a map fixes the order of the
features for the layer after it, and a reshape to a map for the layer before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from archspec.backend.file_tensor import FlatOrder


class FlatFeatures:
    """The features of a value, whose order may be known from what made or reads them.

    >>> dense = FlatFeatures()
    >>> (dense | FlatFeatures("hwc")).order, dense.order
    ('hwc', 'hwc')
    """

    def __init__(self, order: FlatOrder | Literal["", "?"] = "") -> None:
        self._orders: set[str] = {order} - {""}
        self._merged: FlatFeatures | None = None

    @property
    def order(self) -> str:
        """`chw` or `hwc`, `?` if unknown or contradictory; empty if nothing gives an order."""
        orders = self._root()._orders
        return next(iter(orders)) if len(orders) == 1 else "?" * bool(orders)

    def mark(self, order: str) -> None:
        """Note an order, found at a value that has these features too."""
        self._root()._orders.add(order)

    def __or__(self, other: FlatFeatures) -> FlatFeatures:
        """Return the features of an elementwise merge: whatever orders one orders the other."""
        mine, root = self._root(), other._root()
        if mine is not root:
            root._orders |= mine._orders
            mine._merged = root
        return root

    def _root(self) -> FlatFeatures:
        root = self
        while root._merged is not None:
            root = root._merged
        return root


def known_order(features: Iterable[FlatFeatures]) -> FlatOrder | None:
    """Return the order that all features share; None if it is unknown, or there is none.

    >>> first, last = FlatFeatures("chw"), FlatFeatures("hwc")
    >>> known_order([last, FlatFeatures()]), known_order([first, last])
    ('hwc', None)
    """
    orders = {each.order for each in features} - {""}
    if orders == {"chw"}:
        return "chw"
    return "hwc" if orders == {"hwc"} else None


@dataclass(frozen=True)
class TracedValue:
    """A computed value: a vector of features, or a map with its channels last or first."""

    features: FlatFeatures
    map_order: FlatOrder | None = None
    """The order that flattening the map as it lies gives; None for a vector, or if not known."""
    is_unfolded: bool = False
    """It is a vector that a reshape made a map of."""

    def flattened(self) -> TracedValue:
        """Return the vector of the value's features, in the order in which they lie."""
        return TracedValue(FlatFeatures(self.map_order)) if self.map_order else self


def unknown() -> TracedValue:
    """Return a value of which nothing is known, whose features are nobody else's.

    >>> unknown().flattened().features.order
    '?'
    """
    return TracedValue(FlatFeatures("?"))
