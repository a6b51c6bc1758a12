"""Damaged images and files of weights: each is read, or is an error that says so; nothing is printed, and nothing hangs."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from PIL import Image
from safetensors.numpy import save_file

from archspec import weights
from archspec.diagnostics import Failure
from archspec.frontend.loader import Spec
from archspec.images import FORMATS, UnreadableSample, load_image, read_image
from archspec.ir.document import Preprocess
from archspec.weights.inspect import contents_json, inspect
from archspec.weights.weight_source import WeightSource
from tests.helpers import caffemodel
from tests.helpers.damage import damaged_bytes
from tests.helpers.effort import TRIED, is_deep, of_share, shares
from tests.helpers.specs import checked
from tests.helpers.tensors import TEXT, drawn

SECONDS = 5
"""Of the processor, for one file of a few kilobytes."""
COLOURS: list[Any] = ["rgb", "bgr", "gray"]


@contextmanager
def judged(folder: Path, content: bytes, allowed: type[Failure]) -> Generator[None]:
    """Check that the block ends in time, and raises nothing but `allowed`; a file that breaks this is kept."""
    start = time.process_time()
    try:
        try:
            yield
        except allowed as error:
            assert error.message.strip()
            assert len(error.message) <= 2000
        assert time.process_time() - start < SECONDS
    except BaseException as error:
        kept = folder / "kept.bin"
        kept.write_bytes(content)
        error.add_note(f"for the content of {kept}")
        raise


def drawn_seed(share: int) -> int:
    """The seed of a share: the same in each run, and another one every time in the deep profile."""
    return int.from_bytes(os.urandom(8), "little") if is_deep() else share


def images() -> list[bytes]:
    """Small images of every format, in the modes and compressions that its decoder tells apart."""
    noise = np.random.default_rng(0).integers(0, 255, (24, 24, 4), np.uint8)
    whole = Image.fromarray(noise)
    frames = {"save_all": True, "append_images": [whole.convert("RGB").rotate(90)] * 2}
    ways: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "AVIF": [("RGB", {}), ("RGBA", {}), ("RGB", frames)],
        "BMP": [("RGB", {}), ("L", {}), ("1", {})],
        "DIB": [("RGB", {})],
        "GIF": [("P", {}), ("RGB", frames)],
        "JPEG": [("RGB", {}), ("L", {}), ("CMYK", {}), ("RGB", {"progressive": True})],
        "JPEG2000": [("RGB", {}), ("L", {}), ("RGBA", {"irreversible": True})],
        "MPO": [("RGB", frames)],
        "PNG": [(mode, {}) for mode in ("RGB", "RGBA", "P", "1", "L", "LA", "I;16")],
        "PPM": [("RGB", {}), ("L", {}), ("1", {})],
        "QOI": [("RGB", {}), ("RGBA", {})],
        "TIFF": [
            *(("RGB", {"compression": name}) for name in (None, "tiff_lzw", "jpeg", "packbits")),
            *(("RGB", {"compression": name}) for name in ("tiff_adobe_deflate", "tiff_lzma")),
            *[("1", {"compression": "group4"}), ("I;16", {})],
        ],
        "WEBP": [("RGB", {}), ("RGBA", {"lossless": True}), ("RGB", frames)],
    }
    assert {*FORMATS} <= {*ways}
    found: list[bytes] = []
    for name, modes in ways.items():
        for mode, options in modes:
            content = BytesIO()
            image = whole.convert("RGB" if mode != "RGBA" else mode)
            if mode == "I;16":
                image = Image.fromarray(noise[..., 0].astype(np.uint16) << 8)
            elif mode not in ("RGB", "RGBA"):
                image = image.convert(mode)
            image.save(content, name, **options)
            found.append(content.getvalue())
    # What is opened although nobody asked for it, if a reader goes by more than these formats.
    for name, mode in (("DDS", "RGB"), ("SPIDER", "F"), ("TGA", "RGB"), ("ICO", "RGB")):
        content = BytesIO()
        whole.convert(mode).save(content, name)
        found.append(content.getvalue())
    return found


@pytest.mark.parametrize("share", shares())
def test_damaged_images(share: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sound, random = images(), np.random.default_rng(drawn_seed(share))
    read = 0
    for number in range(of_share(1000, deep=20_000)):
        content = damaged_bytes(random, sound[number % len(sound)])
        TRIED["damaged images"] += 1
        steps = Preprocess(channels=COLOURS[random.integers(3)], resize=8)
        with judged(tmp_path, content, UnreadableSample):
            image = read_image(content, steps)
            assert image.mode == ("L" if steps.channels == "gray" else "RGB")
            shape = (1 if steps.channels == "gray" else 3, 8, 8)
            assert np.isfinite(load_image(content, steps, shape)).all()
            read += 1
    assert read > 0
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def spec() -> Spec:
    return checked(TEXT)


@pytest.fixture(scope="module")
def sound(spec: Spec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The weights of a small network as files of every kind, by suffix; each of them can be read."""
    folder, tensors = tmp_path_factory.mktemp("sound"), drawn(spec.graph)
    for suffix in ("safetensors", "pt", "onnx", "keras"):
        weights.save(folder / f"w.{suffix}", tensors, spec)
    save_file(
        {name: value.astype("<f2") for name, value in tensors.items()}, folder / "half.safetensors"
    )
    state = {name: torch.tensor(value) for name, value in tensors.items()}
    brain = {name: value.bfloat16() for name, value in state.items()}
    safetensors.torch.save_file(brain, folder / "brain.safetensors")
    torch.save(brain, folder / "brain.pt")
    of_types = onnx.GraphProto(name="of types")
    for name, value in tensors.items():
        kind = ("<f2", "<f8")[len(of_types.initializer) % 2]
        of_types.initializer.append(onnx.numpy_helper.from_array(value.astype(kind), name))
    (folder / "types.onnx").write_bytes(onnx.ModelProto(graph=of_types).SerializeToString())
    torch.save(
        {"state_dict": state, "epoch": 3}, folder / "old.pt", _use_new_zipfile_serialization=False
    )
    blobs = {name.rpartition(".")[0]: [value] for name, value in tensors.items()}
    (folder / "w.caffemodel").write_bytes(caffemodel.net(blobs))
    layers = keras.layers
    inner = keras.Sequential([keras.Input((3, 4)), layers.LSTM(2), layers.Dense(2)])
    keras.Sequential([keras.Input((3, 4)), inner]).save(folder / "nested.keras")
    for path in folder.iterdir():
        inspect(path)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("share", shares())
def test_damaged_files_of_weights(
    share: int,
    spec: Spec,
    sound: dict[str, bytes],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    random = np.random.default_rng(drawn_seed(share))
    capfd.readouterr()
    for number in range(of_share(500, deep=5_000)):
        name = list(sound)[number % len(sound)]
        content = damaged_bytes(random, sound[name])
        path = tmp_path / name
        path.write_bytes(content)
        TRIED["damaged weight files"] += 1
        with judged(tmp_path, content, Failure):
            contents_json(inspect(path))
        with judged(tmp_path, content, Failure):
            loaded = weights.load_from(WeightSource(path), spec)
            shapes = {found: value.shape for found, value in loaded.tensors.items()}
            assert shapes == {found: param.shape for found, _, param in spec.graph.parameters()}
    assert capfd.readouterr() == ("", "")
