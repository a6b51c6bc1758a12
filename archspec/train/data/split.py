"""The validation split: chosen by the samples' names, class by class, and never by a seed.

>>> from archspec.train.data.source import ArraySource
>>> source = ArraySource(np.zeros((50, 8, 8), np.uint8), np.arange(50) % 2, "x")
>>> train, validation = split(source, 0.2)
>>> len(train), len(validation), sum(sample.label for sample in iter_samples(validation))
(40, 10, 5)
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from archspec.diagnostics import UsageError
from archspec.train.data.source import DataSource, Subset, iter_samples


def split(source: DataSource, share: float) -> tuple[DataSource, DataSource]:
    """Return the training and the validation samples: `share` of each class.

    Of a class with two samples or more, each part gets at least one.
    """
    if not 0 <= share < 1:
        message = f"--val-split is at least 0 and below 1, found {share:g}"
        raise UsageError(message)
    classes: dict[int, list[tuple[bytes, int]]] = {}
    for index, sample in enumerate(iter_samples(source)):
        digest = sha256(sample.name.encode("utf-8", "surrogateescape")).digest()
        classes.setdefault(sample.label, []).append((digest, index))
    in_validation = np.zeros(len(source), bool)
    for members in classes.values():
        count = min(max(round(share * len(members)), 1), len(members) - 1) if share else 0
        in_validation[[index for _, index in sorted(members)[:count]]] = True
    train = Subset(source, np.flatnonzero(~in_validation))
    return train, Subset(source, np.flatnonzero(in_validation))
