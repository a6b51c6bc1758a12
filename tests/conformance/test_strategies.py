"""The strategies reach every op, every spelling of a field and every construct of the language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from archspec.conformance.fields import schema
from archspec.conformance.ops import MAX_RANK, inputs, kinds, make_op, op_values, shapes, takes_rank
from archspec.conformance.specs import GeneratedSpec, specs
from archspec.conformance.suite.networks import KEPT
from archspec.ir.op import EvalContext, Op
from archspec.ir.types import Shape, Size
from archspec.ops import OPS
from tests.helpers.features import Feature, alternatives, every_feature, features, way
from tests.helpers.specs import checked

if TYPE_CHECKING:
    from archspec.ir.op import Array


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many draws, the same in every run."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(cast("Any", HealthCheck)),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


@pytest.mark.parametrize("kind", [kind for kind in OPS if schema(kind)])
def test_every_way_to_write_every_field_is_drawn_and_taken(kind: str) -> None:
    ranks = [rank for rank in range(MAX_RANK + 1) if takes_rank(kind, rank)]
    seen: Counter[tuple[str, str]] = Counter()
    pairs = shapes(*ranks).flatmap(lambda shape: st.tuples(st.just(shape), op_values(kind, shape)))
    for shape, fields in drawn(pairs, 300):
        assert make_op(kind, fields, shape)
        seen.update((name, way(value, schema(kind)[name])) for name, value in fields.items())
    wanted = {(name, how) for name, field in schema(kind).items() for how in alternatives(field)}
    assert not wanted - set(seen)


def test_every_op_takes_inputs_of_some_rank() -> None:
    reached = {
        kind
        for rank in range(MAX_RANK + 1)
        for many in (False, True)
        for kind in kinds(rank, many=many)
    }
    assert reached == set(OPS)
    # Known by their papers: a vector has no windows, a map has to be flattened.
    assert not takes_rank("conv", 0)
    assert all(takes_rank("conv", rank) for rank in (1, 2, 3))
    assert [takes_rank("linear", rank) for rank in range(4)] == [True, False, False, False]


@given(shapes().flatmap(inputs))
def test_inputs_are_distinct_and_away_from_kinks(x: Array) -> None:
    assert np.unique(x).size == x.size
    assert np.abs(x - np.round(x)).min() > 0.099
    assert x.dtype == np.float64
    assert len(x) in (2, 3)
    if x.size > 50:
        assert x.min() < -4
        assert x.max() > 6


class Echo(Op):
    """An op that no part of the kit has heard of."""

    kind = "echo"
    family = "shape"
    taps: Size = Field(description="Anything.")
    gain: float = Field(1.0, ge=0.5, le=2)
    mode: str = Field("left", json_schema_extra={"enum": ["left", "right"]})

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return inputs[0] * self.gain


def test_a_new_op_is_reached_without_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPS, "echo", Echo)  # pyright: ignore[reportArgumentType]
    found = [
        drawn_spec
        for drawn_spec in drawn(specs(), 40)
        if "echo" in {kind for kind, _ in drawn_spec.layers}
    ]
    assert found
    graph = checked(found[0].text).graph
    assert tuple((node.op.kind, node.shape) for node in graph.nodes[1:]) == found[0].layers


def test_the_kept_networks_have_every_feature() -> None:
    """Every op, construct, and way of writing each field, with its default and with another value."""
    seen = set[Feature]().union(*(features(path.read_text(encoding="utf-8")) for path in KEPT))
    missing = sorted(every_feature() - seen)
    assert missing == [], "`make networks` draws them anew"


@pytest.mark.long
def test_random_networks_have_every_feature_too() -> None:
    """Some rare ways may be missing by chance; they turn up where the op has networks to itself.

    What hypothesis draws depends on the modules that happen to be loaded, whose constants it uses.
    """
    wanted = every_feature()
    missing = set(wanted) - _features_of(drawn(specs(), 150))
    assert len(missing) <= len(wanted) // 8, sorted(missing)
    for kind in OPS:
        for count in (20, 100):
            if any(_is_of(kind, feature) for feature in missing):
                missing -= _features_of(drawn(specs(known=frozenset({kind})), count))
    assert sorted(missing) == []


def _is_of(kind: str, feature: Feature) -> bool:
    """Return whether a feature is one of an op: its use, or a way to write one of its fields."""
    part, _, name = feature
    return part == kind or (part == "spec" and kind in name.split())


def _features_of(networks: list[GeneratedSpec]) -> set[Feature]:
    return set[Feature]().union(*(features(network.text) for network in networks))


def test_shapes_have_the_ranks_that_are_asked_for() -> None:
    found: list[Shape] = drawn(shapes(1, 3), 50)
    assert {len(shape) for shape in found} == {2, 4}
