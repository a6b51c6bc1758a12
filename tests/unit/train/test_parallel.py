"""Several processes under torchrun make the updates of one, whatever share of a batch each of them has."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archspec.backend import load
from archspec.backend.trainer import TrainerConfig, microbatches, rank_slices
from archspec.conformance.compare import compare, compare_all
from archspec.frontend.loader import Spec
from archspec.reference.trainer import ReferenceTrainer
from archspec.train.checkpoint import list_checkpoints, read_checkpoint
from archspec.train.log import read_metrics
from archspec.train.run import TrainOptions, train_spec
from archspec.weights.init import initial_tensors
from tests.helpers.ranks import CASES, DEEP, RUN, STOP, batches
from tests.helpers.specs import checked
from tests.helpers.torchrun import started, torchrun

RANKS = 3


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data: noise, other noise, and images of which one cannot be read."""
    here = tmp_path_factory.mktemp("ranks")
    rng = np.random.default_rng(0)
    for name in ("noise", "other"):
        x, y = rng.integers(0, 256, (41, 8, 8)).astype(np.uint8), rng.integers(0, 3, 41)
        np.savez(here / f"{name}.npz", x=x, y=y)
    for part in ("train", "val"):
        for index in range(12):
            path = here / "images" / part / f"{index % 3}" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (8, 8)).astype(np.uint8)).save(path)
    (here / "images" / "train" / "2" / "5.png").write_bytes(b"no image")
    return here


@pytest.fixture(scope="module")
def found(here: Path) -> list[dict[str, Any]]:
    """By process, what came of each recipe and of each run."""
    process = started(torchrun(RANKS, ["tests.helpers.ranks", str(here)]), here)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return [pickle.loads((here / f"{rank}.pickle").read_bytes()) for rank in range(RANKS)]


def ends(name: str, found: list[dict[str, Any]]) -> list[str]:
    return [one["runs"][name] for one in found]


@pytest.mark.parametrize("sharded", ["", ", sharded"])
@pytest.mark.parametrize("name", CASES)
def test_losses_and_weights_are_those_of_the_reference_on_whole_batches(
    name: str, sharded: str, found: list[dict[str, Any]]
) -> None:
    text, recipe = CASES[name]
    spec = checked(text)
    wanted = ReferenceTrainer(TrainerConfig(spec.graph, recipe), initial_tensors(spec.graph, 0))
    losses: list[Any] = []
    for x, y, rate in batches():
        if recipe.accumulate <= len(x):
            wanted.step(x, y, rate)
            losses.append(wanted.losses())
    known = wanted.save()
    for own in (one[f"{name}{sharded}"] for one in found):
        for mine, right in zip(own["losses"], losses, strict=True):
            compare_all(mine, right, bound=1e-5, what="losses")
        kept = own["standing"]
        compare_all(kept.tensors, known.tensors, bound=1e-5, what="tensors")
        assert set(kept.average) == set(known.average)
        for key, value in known.average.items():
            compare(kept.average[key], value, bound=2e-5, what=key)


@pytest.mark.parametrize("name", [*CASES, "dropped"])
def test_all_processes_hold_the_same_bits(name: str, found: list[dict[str, Any]]) -> None:
    first, *others = (one[name]["standing"] for one in found)
    for other in others:
        for part in ("tensors", "slots", "average", "backend_state"):
            one, two = getattr(first, part), getattr(other, part)
            assert one.keys() == two.keys()
            assert all((one[key] == two[key]).all() for key in one), part


def test_each_process_drops_others_and_all_states_are_kept(found: list[dict[str, Any]]) -> None:
    states = found[0]["dropped"]["standing"].backend_state["torch.random"]
    assert len(states) == RANKS
    assert len(np.unique(states, axis=0)) == RANKS


def test_a_sharded_trainer_takes_up_a_whole_state_and_gives_it_back(
    found: list[dict[str, Any]],
) -> None:
    for one in found:
        given, back = one["adamw, clipped"]["standing"], one["restored"]["standing"]
        assert given.updates == back.updates
        for part in ("tensors", "slots", "average"):
            before, after = getattr(given, part), getattr(back, part)
            assert before.keys() == after.keys()
            assert all((before[key] == after[key]).all() for key in before), part
    sharded, whole = found[0]["restored"]["predictions"]
    compare(sharded, whole, bound=1e-6)


def test_each_process_holds_its_share_of_the_parameters(found: list[dict[str, Any]]) -> None:
    shares = [one["restored"]["values"] for one in found]
    assert sum(shares) == found[0]["restored"]["of"]
    assert max(shares) < 0.6 * sum(shares)


@pytest.mark.skipif(not DEEP, reason="a compiler takes its time")
def test_compiled_it_learns_the_same(found: list[dict[str, Any]]) -> None:
    for one in found:
        compiled, plain = (one[name]["standing"].tensors for name in ("compiled", "sgd"))
        compare_all(compiled, plain, bound=1e-5)


def test_it_says_how_many_compute(found: list[dict[str, Any]]) -> None:
    assert found[1]["sgd"]["device"].startswith("3 processes, cpu")


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_shares_hold_each_sample_once_and_of_each_part_alike(
    size: int, count: int, ranks: int
) -> None:
    given = [rank_slices(size, count, rank, ranks) for rank in range(ranks)]
    for at, part in enumerate(microbatches(size, count)):
        own = [range(size)[one[at]] for one in given]
        assert [index for some in own for index in some] == list(range(size)[part])
        assert max(map(len, own)) - min(map(len, own)) <= 1


def test_a_run_ends_alike_on_all_and_with_the_weights_of_one_process(
    here: Path, found: list[dict[str, Any]]
) -> None:
    names = ["whole", "sharded", *(["workers"] if DEEP else [])]
    spec = checked(RUN)
    train_spec(spec, load("torch"), here / "alone", TrainOptions(data=str(here / "noise.npz")))
    wanted, lines = last(here / "alone", spec), read_metrics(here / "alone")
    for name in names:
        assert ends(name, found) == ["8, finished"] * RANKS
        compare_all(last(here / name, spec), wanted, bound=1e-5)
        for line, right in zip(read_metrics(here / name), lines, strict=True):
            assert figures(line) == pytest.approx(figures(right), rel=1e-5)


@pytest.mark.parametrize("name", ["stopped", "stopped, sharded"])
def test_a_signal_to_one_stops_all_at_one_step_and_another_number_resumes(
    name: str, here: Path, found: list[dict[str, Any]]
) -> None:
    assert ends(name, found) == [f"{STOP}, stopped"] * RANKS
    spec = checked(RUN)
    assert [path.name for path in list_checkpoints(here / name)] == [
        f"step-0000000{STOP}.safetensors"
    ]
    train_spec(
        spec,
        load("torch"),
        here / name,
        TrainOptions(data=str(here / "noise.npz")),
        resume=True,
    )
    compare_all(last(here / name, spec), last(here / "whole", spec), bound=1e-5)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("taken", "already exists"),
        ("unreadable", "5.png"),
        ("unlike", "was given a different data than the first process"),
        ("full", "the disk is full"),
        ("diverged", "finite"),
        ("otherwise", "was given a different command than the first process"),
    ],
)
def test_what_fails_on_one_ends_all_and_is_said_once(
    run: str, message: str, found: list[dict[str, Any]]
) -> None:
    said = [text for text in ends(run, found) if text != "silent 1"]
    assert len(said) == 1
    assert message in said[0]


def test_a_run_that_diverges_leaves_no_checkpoint(here: Path) -> None:
    assert not list_checkpoints(here / "diverged")


def test_what_cannot_be_read_gives_way(found: list[dict[str, Any]]) -> None:
    assert ends("skipped", found) == ["4, finished"] * RANKS


def figures(line: Any) -> dict[str, float]:
    return {
        key: value
        for key, value in (line | line.get("losses", {})).items()
        if key in ("main", "loss", "top1")
    }


def last(folder: Path, spec: Spec) -> dict[str, Any]:
    return read_checkpoint(list_checkpoints(folder)[-1], spec.graph)[0].tensors
