"""A fingerprint changes with the network, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import archspec
from archspec.weights.fingerprint import ASPECTS, differences, fingerprint
from tests.helpers.specs import checked

BASE = """archspec: 1
name: small
input: [3, 8, 8]
network:
  - {name: one, conv: {out: 4, kernel: 3, padding: 1}}
  - {name: two, conv: {out: 4, kernel: 3, padding: 1}}
  - {name: sum, add: {a: [{name: inner, relu: {}}], b: []}}
  - flatten
  - {name: fc, linear: {out: 5}}
"""


def of(text: str) -> str:
    return fingerprint(checked(text).graph)


@pytest.mark.parametrize(
    "same",
    [
        BASE.replace("name: small", "name: other # a comment"),
        BASE.replace("kernel: 3, padding: 1", "padding: 1, kernel: 3, stride: 1"),
        BASE + "init: {conv: {weight: he_normal}}\n",
        BASE + "heads: {main: {weight: 0.5}}\n",
    ],
)
def test_the_same_network_written_otherwise_has_the_same(same: str) -> None:
    assert same != BASE
    assert of(same) == of(BASE)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("kernel: 3, padding: 1", "kernel: 5, padding: 2", {"layers"}),
        ("relu", "tanh", {"layers"}),
        ("{name: sum, add:", "{name: sum, from: one, add:", {"wiring"}),
        ("[3, 8, 8]", "[3, 9, 9]", {"shapes"}),
        ("out: 5", "out: 6", {"layers", "shapes"}),
        ("name: fc", "name: dense", {"layers", "wiring", "shapes", "heads"}),
        ("network:", "heads: {main: {loss: mse}}\nnetwork:", {"heads"}),
    ],
)
def test_another_network_has_another_which_says_in_what_they_differ(
    old: str, new: str, expected: set[str]
) -> None:
    assert old in BASE
    assert set(differences(of(BASE), of(BASE.replace(old, new, 1)))) == expected


def test_it_is_one_of_all_aspects_and_no_two_shipped_specs_share_it() -> None:
    specs = sorted((Path(__file__).parents[3] / "specs").glob("*.yaml"))
    found = {path.stem: fingerprint(archspec.load(path).graph) for path in specs}
    assert len(set(found.values())) == len(found) > 3
    assert {len(text.split("-")) for text in found.values()} == {len(ASPECTS)}
