"""Several processes under torchrun make the updates of one, whatever share of a batch each of them has."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from archspec.conformance.compare import compare, compare_all
from archspec.reference.trainer import ReferenceTrainer
from archspec.trainer import Plan, parts, shares
from archspec.weights.init import initial
from tests.helpers.ranks import NET, RECIPES, batches
from tests.helpers.specs import checked
from tests.helpers.torchrun import started, torchrun

RANKS = 3


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """By process, what came of each recipe."""
    here = tmp_path_factory.mktemp("ranks")
    process = started(torchrun(RANKS, ["tests.helpers.ranks", str(here)]), here)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return [pickle.loads((here / f"{rank}.pickle").read_bytes()) for rank in range(RANKS)]


@pytest.mark.parametrize("name", RECIPES)
def test_losses_and_weights_are_those_of_the_reference_on_whole_batches(name: str, found: list[dict[str, Any]]) -> None:
    spec, recipe = checked(NET), RECIPES[name]
    wanted = ReferenceTrainer(Plan(spec.graph, recipe), initial(spec.graph, 0))
    losses: list[Any] = []
    for x, y, rate in batches():
        if recipe.accumulate <= len(x):
            wanted.step(x, y, rate)
            losses.append(wanted.losses())
    known = wanted.save()
    for own in (one[name] for one in found):
        for mine, right in zip(own["losses"], losses, strict=True):
            compare_all(mine, right, bound=1e-5, what="losses")
        kept = own["standing"]
        compare_all(kept.tensors, known.tensors, bound=1e-5, what="tensors")
        assert set(kept.average) == set(known.average)
        for key, value in known.average.items():
            compare(kept.average[key], value, bound=2e-5, what=key)


@pytest.mark.parametrize("name", [*RECIPES, "dropped"])
def test_all_processes_hold_the_same_bits(name: str, found: list[dict[str, Any]]) -> None:
    first, *others = (one[name]["standing"] for one in found)
    for other in others:
        for part in ("tensors", "slots", "average", "own"):
            one, two = getattr(first, part), getattr(other, part)
            assert one.keys() == two.keys()
            assert all((one[key] == two[key]).all() for key in one), part


def test_each_process_drops_others_and_all_states_are_kept(found: list[dict[str, Any]]) -> None:
    states = found[0]["dropped"]["standing"].own["torch.random"]
    assert len(states) == RANKS
    assert len(np.unique(states, axis=0)) == RANKS


def test_it_says_how_many_compute(found: list[dict[str, Any]]) -> None:
    assert found[1]["sgd"]["device"].startswith("3 processes, cpu")


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_shares_hold_each_sample_once_and_of_each_part_alike(size: int, count: int, ranks: int) -> None:
    given = [shares(size, count, rank, ranks) for rank in range(ranks)]
    for at, part in enumerate(parts(size, count)):
        own = [range(size)[one[at]] for one in given]
        assert [index for some in own for index in some] == list(range(size)[part])
        assert max(map(len, own)) - min(map(len, own)) <= 1
