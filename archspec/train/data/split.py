"""The part that is held out: chosen by the samples' names, class by class, and never by a seed.

>>> from archspec.train.data.source import Arrays
>>> source = Arrays(np.zeros((50, 8, 8), np.uint8), np.arange(50) % 2, "x")
>>> train, held_out = split(source, 0.2)
>>> len(train), len(held_out), sum(sample.label for sample in samples(held_out))
(40, 10, 5)
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from archspec.diagnostics import UsageError
from archspec.train.data.source import Part, Source, samples


def split(source: Source, share: float) -> tuple[Source, Source]:
    """What is trained on, and what is held out: that share of each class, and at least one of two samples or more."""
    if not 0 <= share < 1:
        raise UsageError(f"the share that is held out is at least 0 and below 1, found {share:g}")
    classes: dict[int, list[tuple[bytes, int]]] = {}
    for index, sample in enumerate(samples(source)):
        classes.setdefault(sample.label, []).append(
            (sha256(sample.name.encode("utf-8", "surrogateescape")).digest(), index)
        )
    held_out = np.zeros(len(source), bool)
    for members in classes.values():
        count = min(max(round(share * len(members)), 1), len(members) - 1) if share else 0
        held_out[[index for _, index in sorted(members)[:count]]] = True
    return Part(source, np.flatnonzero(~held_out)), Part(source, np.flatnonzero(held_out))
