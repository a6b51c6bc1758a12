from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import numpy as safetensors

from archspec.backend.session import slot_name
from archspec.ir.graph import Graph
from archspec.weights.checkpoint import (
    MAX_TEXT,
    CheckpointError,
    first_lines,
    load_state,
    load_tensors,
    network_metadata,
    save_checkpoint,
)
from archspec.weights.init import initial_tensors
from archspec.weights.weight_source import WeightSource
from tests.helpers.graphs import Builder


def network(out: int = 2) -> Graph:
    b = Builder(3)
    b.add("#1x1 reduce", "linear", out=out)
    b.add("bn", "batch_norm")
    return b.graph()


GRAPH = network()
TENSORS = initial_tensors(GRAPH, seed=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(
        tmp_path / "w.safetensors", TENSORS, {"spec": "abc"}
    )  # as an older version wrote it: it names no network
    return tmp_path / "w.safetensors"


def same(found: dict[str, Any]) -> bool:
    return list(found) == list(TENSORS) and all(
        (found[k] == v).all() and found[k].dtype == np.float32 for k, v in TENSORS.items()
    )


def rewrite(path: Path, tensors: dict[str, Any], **metadata: str) -> None:
    """A checkpoint as another program would write it."""
    path.write_bytes(
        safetensors.save(tensors, {"archspec": json.dumps({"version": "1"} | metadata)})
    )


def test_what_is_saved_is_loaded(path: Path) -> None:
    assert same(load_tensors(path, GRAPH))
    save_checkpoint(path, TENSORS, network_metadata(GRAPH, "abc"))
    assert same(load_tensors(path, GRAPH))


def test_the_file_is_plain_safetensors_with_neutral_names(path: Path) -> None:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"].keys() == {"archspec"}
    digests = {
        name: hashlib.sha256(tensor.tobytes()).hexdigest() for name, tensor in TENSORS.items()
    }
    assert json.loads(header["__metadata__"]["archspec"]) == {
        "version": "1",
        "spec": "abc",
        "digests": digests,
    }
    assert header["#1x1 reduce.weight"]["shape"] == [2, 3]
    assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {"F32"}
    assert same({name: safetensors.load(data)[name] for name in TENSORS})
    assert safetensors.save(TENSORS, header["__metadata__"]) == data, (
        "byte for byte what the library writes"
    )


def test_sizes_of_nothing_and_of_one(tmp_path: Path) -> None:
    odd = {"none": np.zeros((0, 3), np.float32), "one": np.float32(2.0) * np.ones((), np.float32)}
    save_checkpoint(tmp_path / "odd.safetensors", odd)
    found = safetensors.load_file(tmp_path / "odd.safetensors")
    assert {name: tensor.shape for name, tensor in found.items()} == {"none": (0, 3), "one": ()}
    assert found["one"] == 2


def test_memory_layout_does_not_matter(tmp_path: Path) -> None:
    strided = {name: np.asfortranarray(value) for name, value in TENSORS.items()}
    swapped = {name: value.astype(">f4") for name, value in TENSORS.items()}
    for tensors in (strided, swapped):
        save_checkpoint(tmp_path / "w", tensors)
        assert same(load_tensors(tmp_path / "w", GRAPH))


def test_all_that_differs_is_told_at_once(path: Path) -> None:
    tensors: dict[str, Any] = dict(TENSORS) | {"extra": np.zeros(1, np.float32)}
    tensors["bn.weight"] = np.zeros(3, np.float32)
    tensors["bn.bias"] = np.zeros(2, np.float16)
    del tensors["#1x1 reduce.bias"]
    rewrite(path, tensors, spec="abc")
    with pytest.raises(CheckpointError) as caught:
        load_tensors(path, GRAPH)
    assert caught.value.problems == (
        "missing: `#1x1 reduce.bias`, 2",
        "of another shape: `bn.weight` is 3, expected 2",
        "of another type: `bn.bias` is F16, expected F32",
        "unexpected: `extra`",
    )
    assert all(problem in str(caught.value) for problem in caught.value.problems)


def test_a_long_list_is_cut_in_the_message_only(path: Path) -> None:
    rewrite(path, {f"x{i}": np.zeros(1, np.float32) for i in range(50)})
    with pytest.raises(CheckpointError, match=r"and 36 more") as caught:
        load_tensors(path, GRAPH)
    assert len(caught.value.problems) == 50 + len(TENSORS)


def test_a_long_kind_of_line_hides_no_other() -> None:
    kinds = {"missing": "x" * 500, "unexpected": "y" * 100, "of another type": "z" * 100}
    lines = [f"{kind}: {text}{i}" for kind, text in kinds.items() for i in range(9)]
    shown = first_lines(lines)
    assert sum(map(len, shown[:-1])) <= MAX_TEXT
    assert {line.partition(":")[0] for line in shown[:-1]} == set(kinds)
    assert shown[-1] == f"and {27 - len(shown) + 1} more"
    assert first_lines(["x" * 2 * MAX_TEXT]) == ["and 1 more"]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [({"version": "2"}, "version `2`"), ({"version": ""}, "version ``")],
)
def test_files_of_later_versions_are_told_apart(
    path: Path, metadata: dict[str, str], message: str
) -> None:
    rewrite(path, dict(TENSORS), **metadata)
    with pytest.raises(CheckpointError, match=message):
        load_tensors(path, GRAPH)


@pytest.mark.parametrize(
    "metadata",
    [{"format": "pt"}, {"archspec": "1"}, {"archspec": "{"}, {"archspec": "[" * 100_000}],
)
def test_files_of_others_are_told_apart(path: Path, metadata: dict[str, str]) -> None:
    path.write_bytes(safetensors.save(dict(TENSORS), metadata))
    with pytest.raises(CheckpointError, match="not written by archspec"):
        load_tensors(path, GRAPH)


def test_a_file_without_metadata(path: Path) -> None:
    path.write_bytes(safetensors.save(dict(TENSORS)))
    with pytest.raises(CheckpointError, match="not written by archspec"):
        load_tensors(path, GRAPH)


def test_a_truncated_file_is_refused_wherever_it_ends(path: Path) -> None:
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match="safetensors"):
            load_tensors(path, GRAPH)
    path.write_bytes(data + b"\0")
    with pytest.raises(CheckpointError):
        load_tensors(path, GRAPH)


def test_a_flipped_bit_in_the_header_never_gives_other_weights(path: Path) -> None:
    """In each byte: an error of ours, or the very same tensors (a flip in a hash that nobody asks for)."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    refused = accepted = 0
    for bit in (
        *range(64),
        *range(64, 8 * (8 + length), 5),
    ):  # every bit of the length, two or so of any other byte
        at = bit // 8
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit % 8]) + data[at + 1 :])
        try:
            found = load_tensors(path, GRAPH)
        except CheckpointError:
            refused += 1
        else:
            assert same(found), bit
            accepted += 1
    assert refused > 10 * accepted > 0


@given(st.binary(max_size=64))
def test_garbage_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        load_tensors(path, GRAPH)


class Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, ("exploded",)


def test_a_pickle_is_refused_and_not_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="no safetensors file"):
        load_tensors(path, GRAPH)
    assert not Path("exploded").exists()
    pickle.loads(path.read_bytes())
    assert Path("exploded").exists()  # it would have


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no file"):
        load_tensors(tmp_path / "none.safetensors", GRAPH)
    with pytest.raises(CheckpointError):
        load_tensors(tmp_path, GRAPH)


def test_a_failing_save_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, initial_tensors(GRAPH, seed=2))
    assert same(load_tensors(path, GRAPH))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_saving_again_replaces_and_leaves_nothing_else(path: Path) -> None:
    other = initial_tensors(GRAPH, seed=2)
    save_checkpoint(path, other)
    assert (load_tensors(path, GRAPH)["#1x1 reduce.weight"] == other["#1x1 reduce.weight"]).all()
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_a_flipped_bit_in_the_data_is_found_and_its_tensor_named(path: Path) -> None:
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    owner = {
        name: range(*entry["data_offsets"])
        for name, entry in header.items()
        if name != "__metadata__"
    }
    for at in range(len(data) - start):
        broken = bytearray(data)
        broken[start + at] ^= 1 << at % 8
        path.write_bytes(broken)
        (name,) = (name for name, places in owner.items() if at in places)
        with pytest.raises(CheckpointError, match="is damaged") as caught:
            load_tensors(path, GRAPH)
        assert caught.value.problems == (f"other bytes than were saved: `{name}`",)


def test_numbers_that_are_none_are_refused_by_name_unless_allowed(path: Path) -> None:
    bad = TENSORS | {
        "bn.bias": np.array([np.nan, -np.inf], np.float32),
        "bn.weight": np.array([1, np.inf], np.float32),
    }
    save_checkpoint(path, bad)
    with pytest.raises(CheckpointError, match="not finite") as caught:
        load_tensors(path, GRAPH)
    assert caught.value.problems == (
        "`bn.weight`: 0 NaN, 1 infinite",
        "`bn.bias`: 1 NaN, 1 infinite",
    )
    assert "--allow-nonfinite" in caught.value.help
    assert np.isnan(
        load_state(WeightSource(path, allow_nonfinite=True), GRAPH).tensors["bn.bias"][0]
    )


def test_a_checkpoint_of_another_network_whose_tensors_fit(path: Path) -> None:
    b = Builder(3)
    b.add("#1x1 reduce", "linear", out=2)
    b.add("bn", "batch_norm", eps=0.25)
    other = b.graph()
    save_checkpoint(path, TENSORS, network_metadata(other, "abc"))
    with pytest.raises(
        CheckpointError, match="made for another network, though its tensors fit"
    ) as caught:
        load_tensors(path, GRAPH)
    assert caught.value.problems == (
        "of another network: it was made for `net`, which has other layers",
    )
    assert "--ignore-spec" in caught.value.help
    assert same(load_state(WeightSource(path, ignore_spec=True), GRAPH).tensors)
    assert same(load_tensors(path, GRAPH, whole=other)), (
        "a part of the network that it was made for"
    )


def test_what_the_rest_of_the_network_has_is_left_out(path: Path) -> None:
    b = Builder(3)
    b.add("#1x1 reduce", "linear", out=2)
    part = b.graph()
    with pytest.raises(CheckpointError, match=r"unexpected: `bn\.weight`"):
        load_tensors(path, part)
    assert list(load_tensors(path, part, whole=GRAPH)) == ["#1x1 reduce.weight", "#1x1 reduce.bias"]


def test_slots_of_an_optimizer_travel_beside_the_tensors(path: Path) -> None:
    slots = {slot_name("bn.bias", "momentum"): np.array([1, 2], np.float32)}
    save_checkpoint(path, TENSORS | slots)
    assert same(load_tensors(path, GRAPH))
    state = load_state(WeightSource(path), GRAPH)
    assert same(state.tensors)
    assert state.slots["bn.bias@momentum"].tolist() == [1, 2]
    save_checkpoint(path, TENSORS | {"elsewhere.bias@momentum": np.zeros(1, np.float32)})
    with pytest.raises(CheckpointError, match="unexpected: `elsewhere"):
        load_tensors(path, GRAPH)


def test_slots_that_do_not_fit_their_tensors_are_told_too(path: Path) -> None:
    slots = {
        "bn.bias@momentum": np.zeros(3, np.float32),
        "bn.weight@momentum": np.zeros(2, np.float16),
    }
    rewrite(path, TENSORS | slots)
    with pytest.raises(CheckpointError) as caught:
        load_state(WeightSource(path), GRAPH)
    assert caught.value.problems == (
        "of another shape: `bn.bias@momentum` is 3, expected 2",
        "of another type: `bn.weight@momentum` is F16, expected F32",
    )


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from archspec.weights.checkpoint import save_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_checkpoint(Path(sys.argv[1]), {"w": np.ones(100_000, np.float32)})
except OSError as error:
    print(error.strerror)
"""


def test_a_disk_that_is_full_half_way_leaves_what_was_there(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("File too large", "")
    assert same(load_tensors(path, GRAPH))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
