"""Time of `archspec check` on generated specs of 10,000 and 20,000 layers.

The layers are written as steps, as rows of a table, and with `repeat`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import ARCHSPEC, Figure, alternate, at_most, processes, ratios

ROUNDS = 5
SMALL = 10_000
LARGE = 20_000

Form = Callable[[int], str]
"""A function that returns a spec with the given number of layers."""

_START = "archspec: 1\nname: tower\ninput: [8, 32, 32]\nnetwork:\n"


def steps(layers: int) -> str:
    """Return a spec with one step per layer."""
    pair = (
        "  - {{name: conv{0}, conv: {{out: 8, kernel: 3, padding: 1}}}}\n"
        "  - {{name: relu{0}, relu: }}\n"
    )
    return _START + "".join(pair.format(i) for i in range(layers // 2))


def rows(layers: int) -> str:
    """Return a spec with one table row per layer."""
    head = "  table:\n    columns: [name, type, out, kernel, padding]\n    rows:\n"
    pair = "      - [conv{0}, conv, 8, 3, 1]\n      - [relu{0}, relu, ~, ~, ~]\n"
    return _START + head + "".join(pair.format(i) for i in range(layers // 2))


def repeat(layers: int) -> str:
    """Return a spec that repeats two layers."""
    body = "        - conv: {out: $in.channels, kernel: 3, padding: 1}\n        - relu\n"
    return f"{_START}  - repeat:\n      times: {layers // 2}\n      body:\n{body}"


def figures() -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        for form in (steps, rows, repeat):
            small = _write(Path(folder), form.__name__, form(SMALL))
            large = _write(Path(folder), form.__name__, form(LARGE))
            commands = {
                "small": (*ARCHSPEC, "check", str(small)),
                "large": (*ARCHSPEC, "check", str(large)),
            }
            runs = processes(commands, ROUNDS)
            seconds = {name: [run.seconds for run in results] for name, results in runs.items()}
            yield from _pair(f"check, {form.__name__}, whole process", seconds)
            calls = {"small": partial(_check, small), "large": partial(_check, large)}
            yield from _pair(f"check, {form.__name__}, in process", alternate(calls, ROUNDS))


def _pair(label: str, seconds: dict[str, list[float]]) -> Iterator[Figure]:
    small = seconds["small"]
    large = seconds["large"]
    yield Figure(f"{label}, {SMALL:,} layers", "s", median(small), at_most(3))
    yield Figure(
        f"{label}, {LARGE:,} layers",
        "s",
        median(large),
        at_most(2.5),
        f"{SMALL:,} layers",
        median(small),
        ratios(large, small),
    )


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}{len(text)}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _check(path: Path) -> None:
    import archspec

    _, findings = archspec.check(path)
    assert not findings, findings
