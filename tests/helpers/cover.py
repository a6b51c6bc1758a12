"""Draw the networks of `archspec/conformance/networks` anew: `make networks`, after an op or a field is added.

Few networks that together are written with every feature three times over, small ones first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from hypothesis import HealthCheck, Phase, given, seed, settings

from archspec.conformance.specs import GeneratedSpec, specs
from archspec.conformance.suite.networks import NETWORKS
from tests.helpers.features import Feature, every_feature, features
from tests.helpers.specs import checked

TIMES = 3


@dataclass(frozen=True)
class Candidate:
    """A network, its features and how many layers it has."""

    text: str
    features: frozenset[Feature]
    layers: int


def draw(count: int, start: int = 0) -> Iterator[Candidate]:
    """Yield the networks of so many draws, those that pass the checker."""
    texts: list[str] = []

    @seed(start)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(cast("Iterable[HealthCheck]", HealthCheck)),
    )
    @given(specs())
    def collect(drawn: GeneratedSpec) -> None:
        texts.append(drawn.text)

    collect()
    for text in texts:
        yield Candidate(text, features(text), len(checked(text).graph.nodes))


def covering(candidates: Iterable[Candidate], times: int = TIMES) -> list[Candidate]:
    """Return few of the candidates that have every feature so many times, or as often as all of them do.

    Those that bring the most for their size come first.
    """
    left = sorted(candidates, key=lambda candidate: candidate.text)
    wanted = {
        feature: min(times, sum(feature in candidate.features for candidate in left))
        for feature in every_feature()
    }
    chosen: list[Candidate] = []
    while any(wanted.values()):
        best = max(
            left, key=lambda one: sum(bool(wanted.get(f)) for f in one.features) / (6 + one.layers)
        )
        left.remove(best)
        chosen.append(best)
        for feature in best.features & wanted.keys():
            wanted[feature] = max(0, wanted[feature] - 1)
    return chosen


def main() -> None:
    candidates = [one for start in range(12) for one in draw(150, start)]
    chosen = covering(candidates)
    missing = every_feature() - frozenset[Feature]().union(*(one.features for one in chosen))
    if missing:
        sys.exit(f"no network has {sorted(missing)}")
    for path in NETWORKS.glob("*.yaml"):
        path.unlink()
    for number, one in enumerate(chosen):
        (NETWORKS / f"{number:02}.yaml").write_text(one.text, encoding="utf-8")


if __name__ == "__main__":
    main()
