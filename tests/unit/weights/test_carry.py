"""From every kind of file to neutral tensors and back: names, layouts, types, and all that can be wrong at once."""

from __future__ import annotations

import dataclasses
import importlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import archspec
from archspec import weights
from archspec.backend import Backend, BackendError, Format, MemoryBudget, TensorLayout, registry
from archspec.diagnostics import Failure, MissingPackage, UsageError
from archspec.frontend.loader import Spec
from archspec.ir.graph import Graph
from archspec.weights import CheckpointError, formats
from archspec.weights.inspect import inspect
from archspec_torch import BACKEND
from archspec_torch.layout import state_dict_keys
from tests.helpers.caffemodel import net
from tests.helpers.specs import checked
from tests.helpers.tensors import TEXT, drawn, same


@pytest.fixture(scope="module")
def spec() -> Spec:
    return checked(TEXT)


KINDS = sorted(
    {
        (kind.backend, suffix)
        for kind in formats.file_kinds()
        if kind.format
        for suffix in kind.suffixes
    }
)


@pytest.mark.parametrize(("name", "suffix"), KINDS, ids=lambda text: text)
def test_there_and_back(spec: Spec, tmp_path: Path, name: str, suffix: str) -> None:
    tensors = drawn(spec.graph)
    weights.save(tmp_path / "a.safetensors", tensors, spec)
    weights.convert(tmp_path / "a.safetensors", tmp_path / f"b{suffix}", spec)
    weights.convert(tmp_path / "a.safetensors", tmp_path / f"c{suffix}", spec, to=name)
    weights.convert(tmp_path / f"b{suffix}", tmp_path / "d.safetensors", spec)
    assert same(weights.load(tmp_path / "d.safetensors", spec), tensors)
    assert same(weights.load(tmp_path / f"c{suffix}", spec), tensors)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "d.safetensors").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4, "no file besides"


def test_a_state_dict_is_what_the_emitted_model_loads(spec: Spec, tmp_path: Path) -> None:
    tensors = drawn(spec.graph)
    weights.save(tmp_path / "w.pth", tensors, spec)
    model = archspec.build(spec, backend="torch")
    model.load_state_dict(torch.load(tmp_path / "w.pth", weights_only=True), strict=False)
    assert (
        model.state_dict()[state_dict_keys(spec.graph)["fc.weight"]].numpy() == tensors["fc.weight"]
    ).all()
    torch.save({"epoch": 3, "state_dict": model.state_dict()}, tmp_path / "trained.pt")
    assert same(weights.load(tmp_path / "trained.pt", spec), tensors)


def fake(**changes: Any) -> Backend:
    """A backend whose convolutions are [*kernel, in, out] and whose linear layers are [in, out], in `.fake` files."""

    def natives(graph: Graph) -> Mapping[str, TensorLayout]:
        axes = {2: (1, 0), 4: (2, 3, 1, 0)}
        return {
            name: TensorLayout(f"fake/{name}", tuple(param.shape[a] for a in order), order)
            for name, _, param in graph.parameters()
            for order in [axes.get(len(param.shape), tuple(range(len(param.shape))))]
        }

    def read(path: Path, room: MemoryBudget) -> Mapping[str, Any]:
        with np.load(path, allow_pickle=False) as file:
            return {key.replace("|", "/"): file[key] for key in file.files}

    def write(path: Path, graph: Graph, about: Any, tensors: Mapping[str, Any]) -> None:
        names = natives(graph)
        with path.open("wb") as file:
            arrays: Any = {
                names[k].name.replace("/", "|"): names[k].from_portable(v)
                for k, v in tensors.items()
            }
            np.savez(file, **arrays)

    form = Format(name="fake", suffixes=(".fake",), read=read, write=write)
    return dataclasses.replace(
        BACKEND, name="fake", tensor_layout=natives, formats=(form,), **changes
    )


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, fake())


def install(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    class Entry:
        def load(self) -> Backend:
            return backend

    for module in (registry, formats):
        monkeypatch.setattr(module, "available", lambda: {"fake": Entry()})


@pytest.mark.usefixtures("faked")
def test_layouts_of_a_backend_are_its_own(spec: Spec, tmp_path: Path) -> None:
    tensors = drawn(spec.graph)
    weights.save(tmp_path / "w.fake", tensors, spec)
    with np.load(tmp_path / "w.fake") as file:
        assert file["fake|one.weight"].shape == (3, 1, 3, 4)
        assert file["fake|one.weight"][2, 0, 1, 3] == tensors["one.weight"][3, 1, 2, 0]
        assert file["fake|fc.weight"][7, 2] == tensors["fc.weight"][2, 7]
    assert same(weights.load(tmp_path / "w.fake", spec), tensors)


def test_a_missing_framework_is_named_with_its_extra(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, fake(framework="nowhere_to_be_found", extra="fakes"))
    (tmp_path / "w.fake").write_bytes(b"")
    with pytest.raises(BackendError, match=r"archspec-nn\[fakes\]") as caught:
        weights.load(tmp_path / "w.fake", spec)
    assert isinstance(caught.value, MissingPackage)
    with pytest.raises(BackendError, match=r"archspec-nn\[fakes\]"):
        weights.save(tmp_path / "new.fake", drawn(spec.graph), spec)


@pytest.mark.parametrize("missing", ["nowhere_to_be_found", "nowhere_to_be_found.inside"])
def test_a_package_that_reading_and_writing_take_is_named(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def lacking(*_: Any) -> Any:
        importlib.import_module(missing)

    form = dataclasses.replace(fake().formats[0], read=lacking, write=lacking)
    install(monkeypatch, dataclasses.replace(fake(), formats=(form,)))
    (tmp_path / "w.fake").write_bytes(b"")
    for act in (
        lambda: weights.load(tmp_path / "w.fake", spec),
        lambda: weights.save(tmp_path / "new.fake", drawn(spec.graph), spec),
    ):
        with pytest.raises(
            BackendError, match="`fake` needs nowhere_to_be_found, which is not installed"
        ) as caught:
            act()
        assert isinstance(caught.value, MissingPackage)
        assert caught.value.help.endswith(" nowhere_to_be_found")


def test_a_file_that_fails_over_a_package_that_is_there_is_damaged(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: Any) -> Any:
        importlib.import_module("numpy.nowhere_to_be_found")

    install(
        monkeypatch,
        dataclasses.replace(
            fake(), formats=(dataclasses.replace(fake().formats[0], read=lacking),)
        ),
    )
    (tmp_path / "w.fake").write_bytes(b"")
    with pytest.raises(CheckpointError, match="is no fake file, or a damaged one"):
        weights.load(tmp_path / "w.fake", spec)


def test_a_file_may_hold_several_times_what_the_network_needs_and_no_more(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms: list[MemoryBudget] = []

    def greedy(path: Path, room: MemoryBudget) -> Any:
        rooms.append(room)
        room.charge(room.remaining + 1, "the bomb")

    install(
        monkeypatch,
        dataclasses.replace(fake(), formats=(dataclasses.replace(fake().formats[0], read=greedy),)),
    )
    path = tmp_path / "w.fake"
    path.write_bytes(b"0" * 100)
    for act in (lambda: weights.load(path, spec), lambda: inspect(path)):
        with pytest.raises(
            CheckpointError, match=r"`.*w\.fake` holds more than it can need: `the bomb` takes "
        ) as caught:
            act()
        assert not isinstance(caught.value, UsageError | MissingPackage)
    values = sum(param.size for _, _, param in spec.graph.parameters())
    assert [room.remaining - 2**26 for room in rooms] == [4 * 100 + 4 * 8 * values, 4 * 100]


def test_all_that_differs_is_told_at_once(spec: Spec, tmp_path: Path) -> None:
    names = state_dict_keys(spec.graph)
    state = {names[k]: torch.from_numpy(v) for k, v in drawn(spec.graph).items()}
    del state[names["fc.bias"]]
    state[names["one.weight"]] = torch.zeros(4, 3, 1, 3)
    state[names["bn.weight"]] = torch.zeros(4, dtype=torch.int64)
    state[names["bn.bias"]] = torch.zeros(4, dtype=torch.complex64)
    state["more"] = torch.zeros(1)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="does not fit the network `small`") as caught:
        weights.load(tmp_path / "w.pt", spec)
    assert caught.value.problems == (
        f"of another shape: `{names['one.weight']}` is 4x3x1x3, expected 4x3x3x1",
        f"of another type: `{names['bn.weight']}` is int64, expected floating-point numbers",
        f"of another type: `{names['bn.bias']}` is complex64, expected floating-point numbers",
        "missing: `fc.bias`, 5",
        "unexpected: `more`",
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_widths_become_float32(spec: Spec, tmp_path: Path, dtype: torch.dtype) -> None:
    names = state_dict_keys(spec.graph)
    narrow = {k: torch.from_numpy(v).to(dtype) for k, v in drawn(spec.graph).items()}
    torch.save({names[k]: v for k, v in narrow.items()}, tmp_path / "w.pt")
    assert same(
        weights.load(tmp_path / "w.pt", spec), {k: v.float().numpy() for k, v in narrow.items()}
    )


def test_what_float32_cannot_hold_is_refused(spec: Spec, tmp_path: Path) -> None:
    names = state_dict_keys(spec.graph)
    state = {names[k]: torch.from_numpy(v).double() for k, v in drawn(spec.graph).items()}
    state[names["fc.bias"]][1] = 1e300
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"`fc\.bias`: 0 NaN, 1 infinite"):
        weights.load(tmp_path / "w.pt", spec)
    assert np.isinf(weights.load(tmp_path / "w.pt", spec, allow_nonfinite=True)["fc.bias"][1])


class Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, ("exploded",)


def test_nothing_is_unpickled(spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"bomb": Bomb()}, "w.pt")
    Path("plain.pt").write_bytes(pickle.dumps(Bomb()))
    for name in ("w.pt", "plain.pt"):
        with pytest.raises(CheckpointError, match="or a damaged one"):
            weights.load(name, spec)
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    "suffix", sorted({suffix for kind in formats.file_kinds() for suffix in kind.suffixes})
)
def test_damaged_files_of_every_kind(spec: Spec, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    with pytest.raises(CheckpointError, match="no file"):
        weights.load(path, spec)
    if suffix == ".caffemodel":
        path.write_bytes(net({"one": [np.ones((4, 3), np.float32)]}))
    else:
        weights.save(path, drawn(spec.graph), spec)
    data = path.read_bytes()
    for broken in (b"", b"garbage" * 50, data[: len(data) // 2], data[:-1]):
        path.write_bytes(broken)
        with pytest.raises(CheckpointError):
            weights.load(path, spec)


def test_an_unknown_suffix_lists_the_known_ones(spec: Spec, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"`.*w\.txt` is that of no kind.*\.caffemodel, .*\.pth"
    ):
        weights.load(tmp_path / "w.txt", spec)
    with pytest.raises(CheckpointError, match="are read and not written"):
        weights.save(tmp_path / "w.caffemodel", drawn(spec.graph), spec)
    with pytest.raises(BackendError, match="unknown backend"):
        weights.save(tmp_path / "w.pt", drawn(spec.graph), spec, to="trch")


@pytest.mark.parametrize("name", ["w.safetensors", "w.onnx", "w.bin", "w"])
def test_no_file_is_written_under_the_suffix_of_another_kind(
    spec: Spec, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match=r"no kind of file of the backend `torch`") as caught:
        weights.convert(tmp_path / "absent.pt", tmp_path / name, spec, to="torch")
    assert caught.value.help == "known are .pt, .pth"
    assert isinstance(caught.value, UsageError)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("faked")
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("the writer failed\nat 3")]
)
def test_a_writer_that_fails_leaves_the_old_file(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "w.fake"
    weights.save(path, drawn(spec.graph), spec)
    before = path.read_bytes()

    def half(path: Path, *_: Any) -> None:
        path.write_bytes(b"half")
        raise error

    install(
        monkeypatch,
        dataclasses.replace(fake(), formats=(dataclasses.replace(fake().formats[0], write=half),)),
    )
    with pytest.raises(
        Failure, match=r"cannot write `.*w\.fake`: (no space left on device|the writer failed);"
    ):
        weights.save(path, drawn(spec.graph, 1), spec)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_beside_is_not_overwritten(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(path: Path, *_: Any) -> None:
        path.write_bytes(b"main")
        path.with_suffix(".data").write_bytes(b"beside")

    install(
        monkeypatch,
        dataclasses.replace(fake(), formats=(dataclasses.replace(fake().formats[0], write=two),)),
    )
    weights.save(tmp_path / "w.fake", drawn(spec.graph), spec)
    assert (tmp_path / "w.data").read_bytes() == b"beside"
    (tmp_path / "w.data").write_bytes(b"mine")
    with pytest.raises(Failure, match=r"takes a file `w\.data` beside it, which is there already"):
        weights.save(tmp_path / "w.fake", drawn(spec.graph), spec)
    assert (tmp_path / "w.data").read_bytes() == b"mine"


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_place_that_cannot_be_written(spec: Spec, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="cannot write .*not a directory"):
        weights.save(tmp_path / "file" / f"w{suffix}", drawn(spec.graph), spec)
