"""The code of a path is text, whatever the path holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.codegen.call_location import CallLocation, path_parts
from archspec.ir.graph import Scope
from tests.helpers.graphs import SPAN

NETWORK = Scope("", "network", SPAN)


def nested(*names: str, parent: Scope = NETWORK) -> Scope:
    for name in names:
        parent = Scope(name, "block", SPAN, parent)
    return parent


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_the_code_of_a_path_evaluates_to_the_path(names: list[str]) -> None:
    code = CallLocation(nested(*names), NETWORK).path_code()
    assert eval(code) == ".".join(names)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3), st.text(min_size=1))
def test_in_a_function_the_path_begins_with_its_name(names: list[str], outer: str) -> None:
    function_scope = nested(outer)
    code = CallLocation(nested(*names, parent=function_scope), function_scope).path_code("/")
    assert eval(code, {"name": "called"}) == "/".join(["called", *names])


@pytest.mark.parametrize("i", [0, 3])
def test_a_loop_puts_its_counter_into_the_path(i: int) -> None:
    location = CallLocation(nested("stack", "1", "{unit}"), NETWORK, {1: "{i + 1}"})
    assert eval(location.path_code(), {"i": i}) == f"stack.{i + 1}.{{unit}}"


def test_parts_can_be_spelt_otherwise() -> None:
    item = nested("3x3 reduce", "conv")
    assert path_parts(item) == ["3x3 reduce", "conv"]
    assert CallLocation(item, NETWORK).path_code("-", {"3x3 reduce": "r"}) == '"r-conv"'
