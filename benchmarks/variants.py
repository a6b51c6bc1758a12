"""Time to load, check and count 1,000 variants of GoogLeNet in one process.

The variants differ in their `args`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.measure import Figure, at_most

VARIANTS = 1_000


def figures() -> Iterator[Figure]:
    import archspec

    start = time.perf_counter()
    params = [
        archspec.stats(archspec.load("googlenet", classes=classes)).params
        for classes in range(2, VARIANTS + 2)
    ]
    seconds = time.perf_counter() - start
    assert len(set(params)) == VARIANTS
    yield Figure(
        f"{VARIANTS:,} variants of googlenet, loaded and counted", "s", seconds, at_most(10)
    )
