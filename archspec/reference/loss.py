"""Losses of heads: the mean over a batch, and its derivative with respect to the output.

>>> import numpy as np
>>> value, slope = loss("cross_entropy", np.array([[0.0, 0.0]]), np.array([1]))
>>> round(value, 4), slope.tolist()
(0.6931, [[0.5, -0.5]])
"""

from __future__ import annotations

from archspec._numpy import Array, np


def loss(kind: str, output: Array, labels: Array, smoothing: float = 0.0) -> tuple[float, Array]:
    """Return the mean loss of a batch and its derivative by the output [N, C, ...].

    Labels are [N, ...].

    - `cross_entropy` is of a softmax over the classes C. Smoothing s takes s of the label and gives
      each class s / C.
    - `binary_cross_entropy` is of a sigmoid of each value, summed over the classes: label 1 of an
      output of width 1,
      or the class of a wider one. Smoothing takes both ends s / 2 towards the middle.
    - `mse` is the mean squared difference to labels of the output's own shape.

    The mean is over all but the classes; of `mse`, over all.
    """
    if kind == "mse":
        away = output - labels
        return float((away**2).mean()), 2 * away / away.size
    count = output.size // output.shape[1]
    targets = target_probabilities(kind, output.shape, labels, smoothing)
    if kind == "cross_entropy":
        shifted = output - output.max(axis=1, keepdims=True)
        normal = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return float(-(targets * normal).sum() / count), (np.exp(normal) - targets) / count
    # log(1 + exp(z)) without overflow; z * wanted is what the label takes off it
    value = np.maximum(output, 0) - output * targets + np.log1p(np.exp(-np.abs(output)))
    e = np.exp(-np.abs(output))
    return float(value.sum() / count), (np.where(output >= 0, 1, e) / (1 + e) - targets) / count


def target_probabilities(
    kind: str, shape: tuple[int, ...], labels: Array, smoothing: float = 0.0
) -> Array:
    """Return the probabilities [N, C, ...] that labels [N, ...] stand for."""
    classes = shape[1]
    if kind == "binary_cross_entropy" and classes == 1:
        exact = labels.reshape(shape).astype(np.float64)
    else:
        exact = np.moveaxis(np.eye(classes)[labels], -1, 1)
    even = 0.5 if kind == "binary_cross_entropy" else 1 / classes
    return exact * (1 - smoothing) + smoothing * even
