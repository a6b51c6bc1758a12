"""`archspec stats googlenet` against tools that count torchvision's GoogLeNet.

Each measurement is a whole process, from start to end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from statistics import median

from benchmarks.measure import ARCHSPEC, Figure, at_least, at_most, process, processes, ratios
from benchmarks.peers import PEERS

ROUNDS = 9
HEAVY = ("jax", "keras", "numpy", "onnx", "tensorflow", "torch")
STATS = (*ARCHSPEC, "stats", "googlenet", "--format", "json")

_IMPORTS = f"""
import contextlib, io, sys
from archspec.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["stats", "googlenet", "--format", "json"])
print(sum(name in sys.modules for name in {HEAVY}))
"""


def figures() -> Iterator[Figure]:
    peers = {name: (sys.executable, "-m", "benchmarks.peers", name) for name in PEERS}
    runs = processes({"archspec": STATS, **peers}, ROUNDS)
    assert json.loads(runs["archspec"][0].output)["params"] == 6_998_552
    seconds = {name: [run.seconds for run in results] for name, results in runs.items()}
    ours = seconds.pop("archspec")
    for name, theirs in seconds.items():
        yield Figure(
            "stats googlenet",
            "s",
            median(ours),
            at_least(10),
            name,
            median(theirs),
            ratios(theirs, ours),
        )
    yield Figure("stats googlenet", "s", median(ours), at_most(0.30))
    yield Figure(
        "stats googlenet, peak memory",
        "MB",
        max(run.memory for run in runs["archspec"]),
        at_most(100),
    )
    loaded = int(process((sys.executable, "-c", _IMPORTS)).output)
    yield Figure(f"stats googlenet, imports of {', '.join(HEAVY)}", "", loaded, at_most(0))
