"""The spec's names for tensors and the model's: mapped by the emitted file itself, whatever the names are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from archspec.ir.graph import Graph
from archspec_torch.layout import state_dict_keys
from tests.helpers.emitted import run_source, source, tensors
from tests.helpers.specs import checked

HEAD = "archspec: 1\nname: net\ninput: [2, 6, 6]\n"


def loaded(text: str, tmp_path: Path) -> tuple[Graph, Any]:
    """A spec's module, after every tensor has been found in the place that `state_dict_keys` says."""
    graph = checked(HEAD + text).graph
    module = run_source(source(graph))
    values = {name: torch.from_numpy(value).float() for name, value in tensors(graph).items()}
    save_file(values, tmp_path / "w.safetensors")
    state = module.build_model(tmp_path / "w.safetensors").state_dict()
    names = state_dict_keys(graph)
    assert set(names) == set(values)
    for name, value in values.items():
        assert torch.equal(state[names[name]], value)
    return graph, module


BLOCKS = "blocks: {unit: {args: [out], body: [{conv: {out: $out, kernel: 1}}, batch_norm]}}\n"


def test_names_that_python_can_say_are_the_same(tmp_path: Path) -> None:
    graph, module = loaded(
        BLOCKS + "network: [{name: a, unit: {out: 2}}, {name: b, unit: {out: 2}}]\n", tmp_path
    )
    assert all(name == attribute for name, attribute in state_dict_keys(graph).items())
    assert not hasattr(module, "RENAMED")


def test_parts_of_names_are_renamed_everywhere(tmp_path: Path) -> None:
    branches = "{1x1: [{unit: {out: 2}}], 3x3: [{unit: {out: 2}}, {name: my bn, batch_norm: ~}]}"
    _, module = loaded(
        f"{BLOCKS}network: [{{concat: {branches}}}, {{name: b, concat: {branches}}}]\n", tmp_path
    )
    # 3x3 stays a sequence, in which the unit keeps its name
    assert module.RENAMED == {
        "1x1.unit": "b1x1",
        "b_1x1.unit": "b_1x1",
        "3x3": "b3x3",
        "my bn": "my_bn",
    }
    assert module.attribute("1x1.unit.conv.weight") == "b1x1.conv.weight"


def test_scopes_that_fold_into_one_are_left_out(tmp_path: Path) -> None:
    stack = "{times: 5, body: [{name: layer, unit: {out: 2}}]}"
    _, module = loaded(f"{BLOCKS}network: [{{name: stack, repeat: {stack}}}]\n", tmp_path)
    assert module.RENAMED == {"layer": ""}


def test_names_that_parts_cannot_say_are_listed_whole(tmp_path: Path) -> None:
    steps = "[{name: a b, batch_norm: ~}, {name: a_b, batch_norm: ~}, {name: a-b, batch_norm: ~}]"
    graph, module = loaded(f"network: {steps}\n", tmp_path)
    assert state_dict_keys(graph)["a-b.weight"] == "a_b_3.weight"
    assert {name for name in module.EXACT if name.endswith(".weight")} == {"a b.weight"}


def test_all_that_does_not_fit_is_told_at_once(tmp_path: Path) -> None:
    graph = checked(HEAD + BLOCKS + "network: [{name: a, unit: {out: 2}}]\n").graph
    module = run_source(source(graph))
    values = {name: torch.from_numpy(value).float() for name, value in tensors(graph).items()}
    del values["a.conv.bias"]
    values["a.conv.weight"] = torch.zeros(3, 2, 1, 1)
    values["b.weight"] = torch.zeros(1)
    save_file(values, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="does not fit the model") as failure:
        module.build_model(tmp_path / "w.safetensors")
    assert str(failure.value).partition(": ")[2].split("; ") == [
        "a.conv.bias is missing",
        "a.conv.weight is (3, 2, 1, 1), expected (2, 2, 1, 1)",
        "b.weight is unexpected",
    ]
