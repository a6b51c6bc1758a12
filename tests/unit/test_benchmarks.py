"""The benchmarks' own instruments: alternation, ratios and targets, a process's memory, the size of generated specs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import archspec
from benchmarks import scaling
from benchmarks.measure import Figure, alternate, at_least, at_most, process, ratios


def test_calls_alternate_and_every_other_round_goes_back() -> None:
    called: list[str] = []
    calls = {"a": lambda: called.append("a"), "b": lambda: called.append("b")}
    seconds = alternate(calls, rounds=3, warm=1)
    assert "".join(called) == "ba" + "ab" + "ba" + "ab"
    assert [len(found) for found in seconds.values()] == [3, 3]


def test_a_figure_is_judged_by_the_median_of_its_ratios_or_by_itself() -> None:
    slow = Figure("stats", "s", 0.2, at_least(10), "peer", 1.9, ratios([1.9, 1.9, 9.0], [0.2, 0.2, 0.2]))
    assert slow.ratio == pytest.approx(9.5)
    assert not slow.met
    assert Figure("stats", "s", 0.2, at_least(10), "peer", 2.0, [10.0, 10.0, 1.0]).met
    assert Figure("stats", "s", 0.30, at_most(0.30)).met
    assert not Figure("stats", "s", 0.31, at_most(0.30)).met


def test_a_process_is_timed_from_start_to_end() -> None:
    run = process((sys.executable, "-c", "import time; time.sleep(0.2); print('done')"))
    assert run.output == "done\n"
    assert 0.2 < run.seconds < 20
    with pytest.raises(subprocess.CalledProcessError):
        process((sys.executable, "-c", "raise SystemExit(3)"))


def test_a_process_is_charged_for_its_own_peak_of_memory() -> None:
    large, small = "block = b'1' * 200_000_000", "pass"
    measure = (
        "import sys; from benchmarks.measure import process; print(process((sys.executable, '-c', sys.argv[1])).memory)"
    )
    used = [float(process((sys.executable, "-c", measure, code)).output) for code in (large, small)]
    assert 190 < used[0] < 300
    assert 1 < used[1] < 100


@pytest.mark.parametrize("form", [scaling.steps, scaling.rows, scaling.repeat])
def test_a_generated_spec_has_as_many_layers_as_it_says(form: scaling.Form, tmp_path: Path) -> None:
    path = tmp_path / "tower.yaml"
    path.write_text(form(40))
    assert [node.op.kind for node in archspec.load(path).graph.nodes[1:]] == ["conv", "relu"] * 20
