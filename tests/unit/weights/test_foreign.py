"""Other projects' files: by the mapping that fits, by one's own, in the order of channels that the spec has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import archspec
from archspec import weights
from archspec.frontend.loader import Spec
from archspec.weights import CheckpointError
from archspec.weights import mapping as mappings
from archspec.weights.weight_source import WeightSource
from archspec_torch.layout import state_dict_keys
from tests.helpers import torchvision_cpu
from tests.helpers.caffemodel import net
from tests.helpers.specs import checked
from tests.helpers.tensors import TEXT, drawn, same
from tests.helpers.torchvision_googlenet import neutral


@pytest.fixture(scope="module")
def spec() -> Spec:
    return checked(TEXT)


def test_torchvisions_state_dict_by_the_mapping_that_fits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision_cpu.load().models.googlenet(aux_logits=True, init_weights=False)
    state: dict[str, Any] = theirs.state_dict()
    torch.save(state, tmp_path / "googlenet.pth")
    spec = archspec.load("googlenet-torchvision")
    loaded = weights.load_from(WeightSource(tmp_path / "googlenet.pth"), spec)
    expected = {
        neutral(k): v.numpy() for k, v in state.items() if not k.endswith("num_batches_tracked")
    }
    assert len(expected) == 305
    assert same(loaded.tensors, expected)
    assert loaded.notes[0] == "read by the mapping googlenet-torchvision"
    # The same names in safetensors, of half the width, as model hubs have them; the counters are ignored.
    save_file({k: v.numpy() for k, v in state.items()}, tmp_path / "hub.safetensors")
    assert same(weights.load(tmp_path / "hub.safetensors", spec), expected)


def caffe_layers() -> dict[str, list[Any]]:
    """The layers of bvlc_googlenet with their shapes as its prototxt declares them: output, input, kernel."""
    tables = {
        "3a": (192, 64, 96, 128, 16, 32, 32), "3b": (256, 128, 128, 192, 32, 96, 64),
        "4a": (480, 192, 96, 208, 16, 48, 64), "4b": (512, 160, 112, 224, 24, 64, 64),
        "4c": (512, 128, 128, 256, 24, 64, 64), "4d": (512, 112, 144, 288, 32, 64, 64),
        "4e": (528, 256, 160, 320, 32, 128, 128), "5a": (832, 256, 160, 320, 32, 128, 128),
        "5b": (832, 384, 192, 384, 48, 128, 128),
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {
        "conv1/7x7_s2": (64, 3, 7, 7),
        "conv2/3x3_reduce": (64, 64, 1, 1),
        "conv2/3x3": (192, 64, 3, 3),
        "loss3/classifier": (1000, 1024),
    }
    for n, (inward, one, reduce3, three, reduce5, five, pool) in tables.items():
        shapes |= {
            f"inception_{n}/1x1": (one, inward, 1, 1),
            f"inception_{n}/3x3_reduce": (reduce3, inward, 1, 1),
            f"inception_{n}/3x3": (three, reduce3, 3, 3),
            f"inception_{n}/5x5_reduce": (reduce5, inward, 1, 1),
            f"inception_{n}/5x5": (five, reduce5, 5, 5),
            f"inception_{n}/pool_proj": (pool, inward, 1, 1),
        }
    for loss, inward in (("loss1", 512), ("loss2", 528)):
        shapes |= {
            f"{loss}/conv": (128, inward, 1, 1),
            f"{loss}/fc": (1024, 2048),
            f"{loss}/classifier": (1000, 1024),
        }
    generator = np.random.default_rng(0)
    # Few distinct values: what is told apart is which tensor and which place, in a file that is put together by hand.
    return {
        name: [
            generator.integers(0, 250, shape).astype(np.float32),
            generator.integers(0, 250, shape[0]).astype(np.float32),
        ]
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def bvlc(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Any]]]:
    layers = caffe_layers()
    path = tmp_path_factory.mktemp("caffe") / "bvlc_googlenet.caffemodel"
    path.write_bytes(net(layers, v1=True, legacy=True))
    return path, layers


def test_caffes_file_by_the_mapping_that_fits(bvlc: tuple[Path, dict[str, list[Any]]]) -> None:
    path, layers = bvlc
    spec = archspec.load("googlenet")
    loaded = weights.load_from(WeightSource(path), spec)
    assert loaded.notes == ("read by the mapping googlenet-caffe",)
    found = loaded.tensors
    assert len(found) == 2 * len(layers) == 128
    assert {name: tensor.shape for name, tensor in found.items()} == {
        n: p.shape for n, _, p in spec.graph.parameters()
    }
    pairs = {
        "conv1.conv": "conv1/7x7_s2",
        "conv2.reduce.conv": "conv2/3x3_reduce",
        "conv2.conv.conv": "conv2/3x3",
        "inception_4d.1x1.convolution.conv": "inception_4d/1x1",
        "inception_4d.3x3.reduce.conv": "inception_4d/3x3_reduce",
        "inception_4d.3x3.conv.conv": "inception_4d/3x3",
        "inception_4d.5x5.reduce.conv": "inception_4d/5x5_reduce",
        "inception_5b.5x5.conv.conv": "inception_5b/5x5",
        "inception_5b.pool.proj.conv": "inception_5b/pool_proj",
        "aux1.conv.conv": "loss1/conv",
        "aux1.fc": "loss1/fc",
        "aux2.classifier": "loss2/classifier",
        "linear.linear": "loss3/classifier",
    }
    for ours, theirs in pairs.items():
        assert (found[f"{ours}.weight"] == layers[theirs][0]).all(), ours
        assert (found[f"{ours}.bias"] == layers[theirs][1]).all(), ours


def test_caffes_channels_follow_the_order_of_the_specs_pictures(
    bvlc: tuple[Path, dict[str, list[Any]]],
) -> None:
    path, layers = bvlc
    loaded = weights.load_from(
        WeightSource(path), archspec.load("googlenet", sets=["preprocess.channels=rgb"])
    )
    assert (
        loaded.notes[1]
        == "input channels put from bgr into rgb, the order of the spec's `preprocess`"
    )
    weight = layers["conv1/7x7_s2"][0]
    for ours, theirs in enumerate((2, 1, 0)):
        assert (loaded.tensors["conv1.conv.weight"][:, ours] == weight[:, theirs]).all()
    assert (loaded.tensors["conv2.reduce.conv.weight"] == layers["conv2/3x3_reduce"][0]).all()


def test_channels_that_no_convolution_reads_cannot_be_put_in_order(tmp_path: Path) -> None:
    text = TEXT.replace("  - {name: one", "  - {name: first, batch_norm: {}}\n  - {name: one")
    spec = checked(text + "preprocess: {channels: rgb}\n")
    rules = "".join(f"  {name}: {name}\n" for name in drawn(spec.graph))
    (tmp_path / "m.yaml").write_text(f"formats: []\nchannels: bgr\nrules:\n{rules}")
    save_file(drawn(spec.graph), tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="are for images in bgr, the spec's are rgb"):
        weights.load(tmp_path / "w.safetensors", spec, mapping=str(tmp_path / "m.yaml"))


def test_another_number_of_classes_is_told_with_the_foreign_names(
    bvlc: tuple[Path, dict[str, list[Any]]],
) -> None:
    with pytest.raises(
        CheckpointError, match="read by the mapping googlenet-caffe, does not fit"
    ) as caught:
        weights.load(bvlc[0], archspec.load("googlenet", classes=2))
    assert [p for p in caught.value.problems if "loss3" in p] == [
        "of another shape: `loss3/classifier:0` is 1x1x1000x1024, expected 2x1024",
        "of another shape: `loss3/classifier:1` is 1x1x1x1000, expected 2",
    ]
    assert len(caught.value.problems) == 6


def test_a_mapping_of_ones_own(spec: Spec, tmp_path: Path) -> None:
    tensors = drawn(spec.graph)
    names = {name: name.replace(".", "_") for name in tensors}
    save_file(
        {names[k]: v.astype(np.float16) for k, v in tensors.items()} | {"step": np.zeros(1)},
        tmp_path / "w.safetensors",
    )
    rules = "".join(f"  {theirs}: {ours}\n" for ours, theirs in names.items())
    (tmp_path / "m.yaml").write_text(
        f"formats: [safetensors]\nignored: {{step: counts steps}}\nrules:\n{rules}"
    )
    found = weights.load(tmp_path / "w.safetensors", spec, mapping=str(tmp_path / "m.yaml"))
    assert same(found, {k: v.astype(np.float16).astype(np.float32) for k, v in tensors.items()})
    with pytest.raises(CheckpointError, match="unexpected: `step`") as caught:
        weights.load(tmp_path / "w.safetensors", spec)
    assert caught.value.help == (
        "names of another project need `archspec weights import ... --mapping NAME_OR_FILE`"
    )


def test_the_help_is_to_map_names_only_where_that_would_help(spec: Spec, tmp_path: Path) -> None:
    tensors = drawn(spec.graph)
    rules = "".join(f"  {name}: {name}\n" for name in tensors)
    (tmp_path / "m.yaml").write_text(f"rules:\n{rules}")
    for changed, mapping in (
        ({**tensors, "fc.bias": np.zeros(9, np.float32)}, None),  # no name differs
        ({**tensors, "step": np.zeros(1, np.float32)}, str(tmp_path / "m.yaml")),
    ):
        save_file(changed, tmp_path / "w.safetensors")
        with pytest.raises(CheckpointError, match="does not fit") as caught:
            weights.load(tmp_path / "w.safetensors", spec, mapping=mapping)
        assert caught.value.help == ""


def test_what_a_mapping_gives_to_no_tensor_is_noted(spec: Spec, tmp_path: Path) -> None:
    tensors = drawn(spec.graph)
    save_file({f"their.{k}": v for k, v in tensors.items()}, tmp_path / "w.safetensors")
    rules = "".join(f"  their.{name}: {name}\n" for name in tensors)
    split = rules.replace("their.fc.bias: fc.bias", "their.fc.bias: {split: [fc.bias, tpyo.bias]}")
    for text, name in ((split, "tpyo.bias"), (f"{rules}  gone: tpyo.weight\n", "tpyo.weight")):
        (tmp_path / "m.yaml").write_text(f"rules:\n{text}")
        source = WeightSource(tmp_path / "w.safetensors")
        loaded = weights.load_from(source, spec, mapping=str(tmp_path / "m.yaml"))
        assert same(loaded.tensors, tensors)
        assert loaded.notes[1] == (
            f"tensors that the mapping gives and the network has not, 1: `{name}`"
        )


def test_a_file_that_two_mappings_fit_or_that_none_is_for(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mappings, "FOLDER", tmp_path)
    path = tmp_path / "w.caffemodel"
    path.write_bytes(net({name: [tensor] for name, tensor in drawn(spec.graph).items()}))
    with pytest.raises(CheckpointError, match="how .* calls its tensors is not known"):
        weights.load(path, spec)
    rules = "".join(f"  {name}:0: {name}\n" for name in drawn(spec.graph))
    (tmp_path / "one.yaml").write_text(f"formats: [caffemodel]\nrules:\n{rules}")
    assert same(weights.load(path, spec), drawn(spec.graph))
    (tmp_path / "two.yaml").write_text(f"formats: [caffemodel]\nrules:\n{rules}")
    with pytest.raises(CheckpointError, match="fits the mapping one and the mapping two"):
        weights.load(path, spec)
    assert same(weights.load(path, spec, mapping="two"), drawn(spec.graph))


def test_neutral_names_without_metadata(spec: Spec, tmp_path: Path) -> None:
    save_file(drawn(spec.graph), tmp_path / "w.safetensors")
    loaded = weights.load_from(WeightSource(tmp_path / "w.safetensors"), spec)
    assert same(loaded.tensors, drawn(spec.graph))
    assert loaded.notes == ("read by portable names",)


def test_bfloat16_in_safetensors(spec: Spec, tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_torch

    names = state_dict_keys(spec.graph)
    narrow = {k: torch.from_numpy(v).bfloat16() for k, v in drawn(spec.graph).items()}
    save_torch({names[k]: v for k, v in narrow.items()}, tmp_path / "w.safetensors")
    assert same(
        weights.load(tmp_path / "w.safetensors", spec),
        {k: v.float().numpy() for k, v in narrow.items()},
    )
