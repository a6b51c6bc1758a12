"""Random networks, on which all backends under test agree with the reference in all modes.

A network that fails is shrunk to a minimal YAML and kept in the folder that
`--archspec-regressions` names. Specs in that folder are tried again each time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.differential import DifferentialTest
from archspec.conformance.profile import examples
from archspec.conformance.spec_failure import spec_first
from archspec.conformance.specs import GeneratedSpec, specs

SHARDS, NETWORKS_PER_SHARD = 10, 30
"""The number of tests, which can run in parallel, and of networks in each."""

EVERY = 8
"""One network in so many runs on other engines too: their source is that of the default one."""


def over_shard(
    shard: int, lowered: Collection[str], test: Callable[[GeneratedSpec, int], None]
) -> None:
    """Run a property on the networks of a shard, each with a seed for its weights and input."""
    # `DifferentialTest` shrinks the spec itself, in more ways than hypothesis knows.
    plainly = settings(examples(NETWORKS_PER_SHARD), phases=[Phase.generate])
    seed(shard)(plainly(given(specs(known=frozenset(lowered)), st.integers(0, 2**32 - 1))(test)))()


def test_networks(
    backends_under_test: Sequence[BackendUnderTest], shard: int, regressions: Path | None
) -> None:
    differential = DifferentialTest(backends_under_test, regressions)
    lowered = {
        kind
        for backend_under_test in backends_under_test
        for kind in backend_under_test.target.backend.lowered
    }

    def holds(drawn: GeneratedSpec, number: int) -> None:
        usual = [
            backend_under_test
            for backend_under_test in backends_under_test
            if backend_under_test.is_default_engine
        ]
        differential.backends = usual if usual and number % EVERY else backends_under_test
        differential.check(drawn.text, number)

    with spec_first():
        differential.search(lambda: over_shard(shard, lowered, holds))


def test_regression(backends_under_test: Sequence[BackendUnderTest], regression: Path) -> None:
    text = regression.read_text(encoding="utf-8")
    with spec_first():
        for number in range(3):
            DifferentialTest(backends_under_test).check(text, number)
