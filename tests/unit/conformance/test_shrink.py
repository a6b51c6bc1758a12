"""Shrinking: the result is valid, still fails, and is as small as is known by hand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archspec.conformance.layers import load_text
from archspec.conformance.shrink import shrink
from archspec.conformance.specs import GeneratedSpec, specs
from archspec.diagnostics import SpecError
from tests.helpers.effort import examples


def kinds(text: str) -> set[str]:
    return {node.op.kind for node in load_text(text).graph.nodes[1:]}


def size(value: Any) -> int:
    """Return the number of values, and the sum of the whole numbers among them."""
    if isinstance(value, dict):
        return 1 + sum(map(size, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(size, value))
    return 1 + abs(value) if type(value) is int else 1


@examples(5)
@given(specs(), st.data())
def test_what_is_left_is_valid_still_holds_and_is_no_larger(
    drawn: GeneratedSpec, data: st.DataObject
) -> None:
    wanted = data.draw(st.sampled_from(sorted(kinds(drawn.text)) or ["none"]))
    tried: list[str] = []

    def holds(text: str) -> bool:
        tried.append(text)
        return wanted in kinds(text)

    if wanted == "none":
        return
    found = shrink(drawn.text, holds, tries=150)
    assert len(tried) <= 150
    assert wanted in kinds(found)
    assert size(yaml.safe_load(found)) <= size(yaml.safe_load(drawn.text))
    assert all(load_text(text) for text in tried)  # nothing that is no spec was asked about


LARGE = """archspec: 1
name: net
input: [4, 9, 9]
args: {n: 3}
blocks:
  unit: {args: [width], body: [{conv: {out: $width, kernel: 3, padding: same}}, relu]}
network:
  - {name: stem, unit: {width: 8}}
  - {concat: {a: [{unit: {width: $n}}, sigmoid], b: [{max_pool: {kernel: 3, stride: 2, padding: 1}}, {resize: {size: 9, mode: nearest, coordinates: asymmetric}}]}}
  - {repeat: {times: $n, body: [gelu]}}
  - flatten
  - {linear: {out: 10}, aux: side}
heads:
  side: {only: train}
"""


def test_a_layer_within_branches_is_left_alone() -> None:
    found = yaml.safe_load(shrink(LARGE, lambda text: "max_pool" in kinds(text)))
    assert found == {
        "archspec": 1,
        "name": "net",
        "input": [1, 1, 1],
        "network": [{"max_pool": {"kernel": 1}}],
    }


def test_a_layer_within_a_block_leaves_one_block() -> None:
    found = load_text(shrink(LARGE, lambda text: "conv" in kinds(text))).graph
    assert [node.op.kind for node in found.nodes[1:]] == ["conv"]
    assert found.nodes[1].shape == (1, 1, 1)


def test_two_layers_in_order_are_both_left() -> None:
    def holds(text: str) -> bool:
        order = [node.op.kind for node in load_text(text).graph.nodes]
        return "gelu" in order and "linear" in order[order.index("gelu") :]

    assert [node.op.kind for node in load_text(shrink(LARGE, holds)).graph.nodes[1:]] in (
        ["gelu", "linear"],
        ["gelu", "flatten", "linear"],
    )


def test_a_number_shrinks_to_the_least_that_still_fails() -> None:
    text = "archspec: 1\nname: net\ninput: [3, 8, 8]\nnetwork: [{conv: {out: 40, kernel: 7}}]\n"

    def holds(text: str) -> bool:
        return any(
            node.op.kind == "conv" and node.shape[0] >= 13 for node in load_text(text).graph.nodes
        )

    found = load_text(shrink(text, holds)).graph
    assert (found.input, found.nodes[1].shape) == ((1, 1, 1), (13, 1, 1))


def test_a_spec_that_cannot_be_smaller_stays() -> None:
    text = "archspec: 1\nname: net\ninput: [1]\nnetwork: []\n"
    assert shrink(text, lambda text: True) == text
    assert shrink(LARGE, lambda text: False) == LARGE
    assert shrink(LARGE, lambda text: True, tries=0) == LARGE


def test_a_head_goes_with_what_hangs_it_on_a_step_or_a_row() -> None:
    table = "{table: {columns: [name, type, aux], rows: [[a, relu, side], [b, sigmoid, ~]]}}"
    text = f"archspec: 1\nname: net\ninput: [2]\nnetwork: [{table}]\nheads: {{side: {{only: train}}}}\n"
    assert "heads" not in yaml.safe_load(shrink(text, lambda text: "sigmoid" in kinds(text)))
    found = load_text(shrink(text, lambda text: len(load_text(text).graph.heads) == 2)).graph
    assert len(found.heads) == 2


def test_what_is_no_yaml_stays() -> None:
    assert shrink("[", lambda text: True) == "["


def test_an_error_in_what_is_asked_is_not_hidden() -> None:
    def holds(text: str) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        shrink(LARGE, holds)


def test_the_oracle_of_these_tests_refuses_what_is_no_spec() -> None:
    with pytest.raises(SpecError):
        kinds("archspec: 1\nname: net\ninput: [1]\nnetwork: [rleu]\n")
