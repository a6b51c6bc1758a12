"""Random networks: every backend under test computes what the reference does, forward, backward and after a step.

A network that fails is shrunk to a minimal YAML and kept in the folder that `--archspec-regressions` names; what lies
there is tried first, each time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from archspec.conformance.backend_under_test import Subject
from archspec.conformance.differential import Agreement
from archspec.conformance.profile import examples
from archspec.conformance.specs import Drawn, specs

SHARDS, USUAL = 10, 30
"""In so many tests of so many networks each: tests are what can run side by side."""

EVERY = 8
"""Of so many networks one is tried on engines that are not the usual ones: what is emitted for them is the same."""


def over(shard: int, lowered: Collection[str], test: Callable[[Drawn, int], None]) -> None:
    """Runs a property on the networks of a shard, each with a number that its weights and input are drawn from."""
    # What fails is shrunk as a spec, by `Agreement`, which knows of more ways than draws have.
    plainly = settings(examples(USUAL), phases=[Phase.generate])
    seed(shard)(plainly(given(specs(known=frozenset(lowered)), st.integers(0, 2**32 - 1))(test)))()


def test_networks(subjects: Sequence[Subject], shard: int, regressions: Path | None) -> None:
    agreement = Agreement(subjects, regressions)
    lowered = {kind for subject in subjects for kind in subject.target.backend.lowered}

    def holds(drawn: Drawn, number: int) -> None:
        usual = [subject for subject in subjects if subject.usual]
        agreement.subjects = usual if usual and number % EVERY else subjects
        agreement.holds(drawn.text, number)

    agreement.search(lambda: over(shard, lowered, holds))


def test_regression(subjects: Sequence[Subject], regression: Path) -> None:
    text = regression.read_text(encoding="utf-8")
    for number in range(3):
        Agreement(subjects).holds(text, number)
