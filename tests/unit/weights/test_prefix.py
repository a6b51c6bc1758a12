"""Names that a wrapper of the model has put a prefix before, and files that are known by their content."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch

import archspec
from archspec import weights
from archspec.diagnostics import UsageError
from archspec.frontend.loader import Spec
from archspec.weights import CheckpointError
from archspec.weights.inspect import inspect
from archspec.weights.prefix import renamings
from archspec.weights.weight_source import WeightSource
from archspec_torch.layout import state_dict_keys
from tests.helpers.specs import checked
from tests.helpers.tensors import TEXT, drawn, same
from tests.helpers.time_limit import time_limit


@pytest.fixture(scope="module")
def spec() -> Spec:
    return checked(TEXT)


@pytest.fixture(scope="module")
def state(spec: Spec) -> dict[str, Any]:
    names = state_dict_keys(spec.graph)
    return {names[name]: torch.from_numpy(value) for name, value in drawn(spec.graph).items()}


def wrapped(spec: Spec) -> dict[str, Any]:
    """The state of the emitted model in the wrappers of PyTorch, and under others' prefixes."""
    model = archspec.build(spec, backend="torch")
    own = model.state_dict()
    return {
        "module.": torch.nn.DataParallel(model).state_dict(),
        "n_averaged": torch.optim.swa_utils.AveragedModel(model).state_dict(),
        "_orig_mod.": {f"_orig_mod.{key}": value for key, value in own.items()},
        "module._orig_mod.": {f"module._orig_mod.{key}": value for key, value in own.items()},
        "model.": {"epoch": 3, "state_dict": {f"model.{k}": value for k, value in own.items()}},
    }


def test_a_wrapped_models_prefix_is_left_out_and_named(spec: Spec, tmp_path: Path) -> None:
    for prefix, state in wrapped(spec).items():
        torch.save(state, tmp_path / "w.pth")
        loaded = weights.load_from(WeightSource(tmp_path / "w.pth"), spec)
        shown = "module." if prefix == "n_averaged" else prefix
        assert loaded.notes[1] == (
            f"every name in the file begins with `{shown}`, which is left out"
        )
        assert len(loaded.tensors) == 8


def test_a_wrapper_within_the_names_is_left_out(
    spec: Spec, state: dict[str, Any], tmp_path: Path
) -> None:
    inside = {
        f"fc._orig_mod.{key[3:]}" if key.startswith("fc.") else key: value
        for key, value in state.items()
    }
    torch.save(inside, tmp_path / "w.pth")
    loaded = weights.load_from(WeightSource(tmp_path / "w.pth"), spec)
    assert same(loaded.tensors, drawn(spec.graph))
    assert "`_orig_mod.`" in loaded.notes[1]


def test_a_prefix_of_some_names_is_named_by_whoever_loads(
    spec: Spec, state: dict[str, Any], tmp_path: Path
) -> None:
    both = {f"encoder.{key}": value for key, value in state.items()} | {"queue": torch.zeros(3)}
    torch.save(both, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="unexpected: `queue`"):
        weights.load(tmp_path / "w.pth", spec)
    loaded = weights.load_from(WeightSource(tmp_path / "w.pth"), spec, prefix="encoder.")
    assert same(loaded.tensors, drawn(spec.graph))
    assert loaded.notes[-1].endswith("left out, 1: `queue`")
    with pytest.raises(UsageError, match=r"no name .* with `encodr\.`; did you mean `encoder\.`"):
        weights.load(tmp_path / "w.pth", spec, prefix="encodr.")


def test_a_prefix_that_is_not_all_that_differs_is_in_the_help(
    spec: Spec, state: dict[str, Any], tmp_path: Path
) -> None:
    torch.save({f"module.{k}": v for k, v in state.items() if k != "fc.bias"}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as caught:
        weights.load(tmp_path / "w.pth", spec)
    assert caught.value.help == (
        "every name in the file begins with `module.`: "
        "`archspec weights import ... --prefix module.` leaves it out"
    )


def test_a_prefix_in_the_help_steers_no_terminal(
    spec: Spec, state: dict[str, Any], tmp_path: Path
) -> None:
    theirs = {f"\x1b[31mm.{k}": v for k, v in state.items() if k != "fc.bias"}
    torch.save(theirs, tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as caught:
        weights.load(tmp_path / "w.pth", spec)
    assert "--prefix \\x1b[31mm.` leaves it out" in caught.value.help
    assert caught.value.help.isprintable()


def test_names_of_dots_alone_take_no_time(spec: Spec, tmp_path: Path) -> None:
    names = [f"{'.' * 60_000}{end}" for end in "ab"]
    assert len(list(renamings(names))) == 32
    torch.save({name: torch.zeros(1) for name in names}, tmp_path / "w.pth")
    with time_limit(20), pytest.raises(CheckpointError, match="does not fit"):
        weights.load(tmp_path / "w.pth", spec)


def test_names_of_both_sides_are_shown(tmp_path: Path) -> None:
    layers = "".join(f"  - {{name: l{i}, linear: {{out: 4}}}}\n" for i in range(40))
    spec = checked(f"archspec: 1\nname: net\ninput: [4]\nnetwork:\n{layers}")
    theirs = {f"{'x' * 200}{i}": torch.zeros(4) for i in range(40)}
    torch.save(theirs, tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as caught:
        weights.load(tmp_path / "w.pth", spec)
    lines = caught.value.message.splitlines()[1:]
    assert lines[0] == "  missing: `l0.weight`, 4x4"
    assert sum("unexpected" in line for line in lines) >= 5
    assert lines[-1] == f"  and {120 - len(lines) + 1} more"
    assert len(caught.value.problems) == 120
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("name", ["w.pth.tar", "w.ckpt", "w.bin", "w.safetensors", "w"])
def test_a_file_is_opened_by_its_content(
    spec: Spec, state: dict[str, Any], tmp_path: Path, name: str
) -> None:
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / name)
    assert same(weights.load(tmp_path / name, spec), drawn(spec.graph))
    assert len(inspect(tmp_path / name).tensors) == len(state)
    torch.save(state, tmp_path / name, _use_new_zipfile_serialization=False)
    assert same(weights.load(tmp_path / name, spec), drawn(spec.graph))


def test_other_kinds_are_opened_by_their_content(spec: Spec, tmp_path: Path) -> None:
    for suffix in (".safetensors", ".keras"):
        weights.save(tmp_path / f"w{suffix}", drawn(spec.graph), spec)
        shutil.move(tmp_path / f"w{suffix}", tmp_path / "w.model")
        assert same(weights.load(tmp_path / "w.model", spec), drawn(spec.graph))


def test_hdf5_alone_is_named(spec: Spec, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["kernel"] = [1.0]
    with pytest.raises(CheckpointError, match=r"is HDF5, .*model\.save\('model\.keras'\)"):
        weights.load(tmp_path / "w.h5", spec)


def test_objects_beside_the_weights_are_named_with_a_way_out(
    spec: Spec, state: dict[str, Any], tmp_path: Path
) -> None:
    torch.save({"state_dict": state, "options": argparse.Namespace(lr=1)}, tmp_path / "w.ckpt")
    with pytest.raises(CheckpointError, match=r"as `argparse\.Namespace`") as caught:
        weights.load(tmp_path / "w.ckpt", spec)
    assert "torch.save(torch.load(FILE, weights_only=False)['state_dict']" in caught.value.help


def test_counters_are_listed_and_are_no_weights(spec: Spec, tmp_path: Path) -> None:
    torch.save(archspec.build(spec, backend="torch").state_dict(), tmp_path / "w.pth")
    found = {tensor.name: tensor.unused for tensor in inspect(tmp_path / "w.pth").tensors}
    assert found.pop("bn.num_batches_tracked") == "a counter"
    assert set(found) == set(state_dict_keys(spec.graph).values())
    assert set(found.values()) == {""}


def test_what_a_library_says_of_a_damaged_file_is_short(spec: Spec, tmp_path: Path) -> None:
    weights.save(tmp_path / "w.keras", drawn(spec.graph), spec)
    data = bytearray((tmp_path / "w.keras").read_bytes())
    header = data.index(b"config.json") - 30
    data[header + 26 : header + 28] = (len(data) // 2).to_bytes(2, "little")  # of the name
    (tmp_path / "w.keras").write_bytes(data)
    with pytest.raises(CheckpointError, match="or a damaged one") as caught:
        inspect(tmp_path / "w.keras")
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()
