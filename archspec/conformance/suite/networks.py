"""Whole networks, on which all backends under test agree with the reference in all modes.

The networks in `archspec/conformance/networks` have every op, construct and spelling of a field
several times over. Others are drawn anew for each `--archspec-seed`. A network that fails is shrunk
to a minimal YAML and kept in the folder that `--archspec-regressions` names. Specs in that folder
are tried again each time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import seed as drawn_from
from hypothesis import strategies as st

from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.differential import DifferentialTest
from archspec.conformance.profile import examples, is_deep
from archspec.conformance.spec_failure import spec_first
from archspec.conformance.specs import GeneratedSpec, specs

NETWORKS = Path(__file__).parent.parent / "networks"
KEPT = sorted(NETWORKS.glob("*.yaml"))

SHARDS = 10
"""The number of tests of fresh networks, which can run in parallel."""

NETWORKS_PER_SHARD, DEEP_NETWORKS_PER_SHARD = 3, 30
"""The usual number of fresh networks in each; the deep profile multiplies the larger one."""

DEEP_EVERY = 8
"""In the deep profile, one network in so many runs on other engines too.

Their source is that of the default engine, and their traps are always run.
"""


def over_shard(
    shard: int, seed: int, lowered: Collection[str], test: Callable[[GeneratedSpec, int], None]
) -> None:
    """Run a property on the networks of a shard, each with a seed for its weights and input."""
    usual = DEEP_NETWORKS_PER_SHARD if is_deep() else NETWORKS_PER_SHARD
    # `DifferentialTest` shrinks the spec itself, in more ways than hypothesis knows.
    plainly = settings(examples(usual), phases=[Phase.generate])
    networks = given(specs(known=frozenset(lowered)), st.integers(0, 2**32 - 1))
    drawn_from(SHARDS * seed + shard)(plainly(networks(test)))()


def on_engines(backends: Sequence[BackendUnderTest], number: int) -> Sequence[BackendUnderTest]:
    """Return the backends on which the network of that number runs."""
    default = [backend for backend in backends if backend.is_default_engine]
    on_all = is_deep() and number % DEEP_EVERY == 0
    return backends if on_all or not default else default


def test_kept_network(
    backends_under_test: Sequence[BackendUnderTest], network: Path, regressions: Path | None
) -> None:
    # The first has the most features and takes JAX the longest, so that others run there.
    number = 1 + KEPT.index(network)
    differential = DifferentialTest(on_engines(backends_under_test, number), regressions)
    text = network.read_text(encoding="utf-8")
    with spec_first():
        differential.search(lambda: differential.check(text, number))


def test_fresh_networks(
    backends_under_test: Sequence[BackendUnderTest],
    shard: int,
    archspec_seed: int,
    regressions: Path | None,
) -> None:
    differential = DifferentialTest(backends_under_test, regressions)
    lowered = {kind for backend in backends_under_test for kind in backend.target.backend.lowered}

    def holds(drawn: GeneratedSpec, number: int) -> None:
        differential.backends = on_engines(backends_under_test, number)
        differential.check(drawn.text, number)

    with spec_first():
        differential.search(lambda: over_shard(shard, archspec_seed, lowered, holds))


def test_regression(backends_under_test: Sequence[BackendUnderTest], regression: Path) -> None:
    text = regression.read_text(encoding="utf-8")
    with spec_first():
        # Another engine compiles anew for each network, and shows once what it computes.
        for number in range(3):
            DifferentialTest(on_engines(backends_under_test, number)).check(text, number)
