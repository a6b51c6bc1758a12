"""The benchmarks' own instruments: alternation, ratios and targets, a process's memory, specs and peers that are made."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import archspec
from benchmarks import build_time, keras_model, scaling
from benchmarks.__main__ import BENCHMARKS
from benchmarks.measure import Figure, alternate, alternate_for, at_least, at_most, process, ratios


def test_calls_alternate_and_every_other_round_goes_back() -> None:
    called: list[str] = []
    calls = {"a": lambda: called.append("a"), "b": lambda: called.append("b")}
    seconds = alternate(calls, rounds=3, warm=1)
    assert "".join(called) == "ba" + "ab" + "ba" + "ab"
    assert [len(found) for found in seconds.values()] == [3, 3]


def test_a_figure_is_judged_by_the_median_of_its_ratios_or_by_itself() -> None:
    slow = Figure(
        "stats", "s", 0.2, at_least(10), "peer", 1.9, ratios([1.9, 1.9, 9.0], [0.2, 0.2, 0.2])
    )
    assert slow.ratio == pytest.approx(9.5)
    assert not slow.met
    assert Figure("stats", "s", 0.2, at_least(10), "peer", 2.0, [10.0, 10.0, 1.0]).met
    assert Figure("stats", "s", 0.30, at_most(0.30)).met
    assert not Figure("stats", "s", 0.31, at_most(0.30)).met


def test_a_process_is_timed_from_start_to_end() -> None:
    run = process((sys.executable, "-c", "import time; time.sleep(0.2); print('done')"))
    assert run.output == "done\n"
    assert 0.2 < run.seconds < 20
    with pytest.raises(subprocess.CalledProcessError) as failed:
        process((sys.executable, "-c", "raise SystemExit('it did not work')"))
    assert failed.value.__notes__ == ["it did not work\n"]


def test_a_process_is_charged_for_its_own_peak_of_memory() -> None:
    large, small = "block = b'1' * 200_000_000", "pass"
    measure = "import sys; from benchmarks.measure import process; print(process((sys.executable, '-c', sys.argv[1])).memory)"
    used = [float(process((sys.executable, "-c", measure, code)).output) for code in (large, small)]
    assert 190 < used[0] < 300
    assert 1 < used[1] < 100


@pytest.mark.parametrize("form", [scaling.steps, scaling.rows, scaling.repeat])
def test_a_generated_spec_has_as_many_layers_as_it_says(form: scaling.Form, tmp_path: Path) -> None:
    path = tmp_path / "tower.yaml"
    path.write_text(form(40))
    assert [node.op.kind for node in archspec.load(path).graph.nodes[1:]] == ["conv", "relu"] * 20


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_says_what_it_measures_and_gives_figures(name: str) -> None:
    module = import_module(f"benchmarks.{name}")
    assert module.__doc__
    assert callable(module.figures)


def test_a_process_is_held_to_one_and_a_half_imports_and_a_second() -> None:
    figure = build_time.against("build", [2.5, 2.6, 5.5], "import torch", [1.0, 1.0, 3.0])
    assert figure.ratios == pytest.approx([1.0, 1.04, 1.0])
    assert figure.met
    assert not build_time.against("build", [2.6], "import torch", [1.0]).met


def test_a_small_network_is_built_and_loaded_in_processes_of_their_own() -> None:
    figures = list(build_time.figures("lenet5", ["onnx"], rounds=1))
    assert [figure.what for figure in figures] == ["build lenet5, onnx", "load lenet5, onnx"]
    assert all(0 < figure.ours < 60 and len(figure.ratios) == 1 for figure in figures)


def test_a_figure_without_a_target_misses_none() -> None:
    assert Figure("predict", "ms", 5.0, None, "peer", 1.0, [5.0]).met


def test_as_many_rounds_as_fit_into_the_time_and_some_in_any_case() -> None:
    clock = iter(float(i) for i in range(10_000))
    calls: dict[str, Callable[[], object]] = {"a": lambda: time.sleep(0.02), "b": lambda: None}
    found = alternate_for(calls, 0.5, lambda: next(clock), least=3)
    assert 3 <= len(found["a"]) <= 25
    assert set(found["a"]) == {1.0}  # by the clock that was given
    assert len(alternate_for(calls, 0, least=3)["b"]) == 3


def test_the_network_written_by_hand_has_the_weights_of_the_emitted_one() -> None:
    models = keras_model.models(train=True)
    ours, theirs = (
        sorted(map(float, (np.abs(w).sum() for w in m.get_weights()))) for m in models.values()
    )
    assert len(ours) == 128
    assert ours == theirs
    models["theirs"].get_layer("aux2-classifier").bias.assign_add(np.ones(1000, "float32"))
    with pytest.raises(AssertionError):
        keras_model.agree(*models.values())
