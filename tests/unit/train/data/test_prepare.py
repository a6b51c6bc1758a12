"""A sample becomes the input that `archspec run` would make of it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

import archspec
from archspec.diagnostics import Failure
from archspec.images import UnreadableSample, load_image
from archspec.ir.document import Preprocess
from archspec.ir.recipe import Augment
from archspec.train.data import InputTransform, MultiCropTransform, Sample
from tests.unit.train.data.common import PLAIN


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photographs")
    paths = [
        folder / name for name in ("astronaut.jpg", "coffee.png", "camera.bmp", "chelsea.webp")
    ]
    for path in paths:
        Image.fromarray(getattr(skimage.data, path.stem)()).save(path)
    return paths


@pytest.mark.parametrize("name", ["googlenet", "googlenet-torchvision", "lenet5"])
def test_images_enter_training_as_they_enter_run(photographs: list[Path], name: str) -> None:
    spec = archspec.load(name)
    steps = spec.document.preprocess
    assert steps is not None
    shape = spec.graph.nodes[0].shape
    for path in photographs:
        expected = load_image(path, steps, shape)
        prepare = pickle.loads(pickle.dumps(InputTransform(shape, steps, Augment(flip=True))))
        found = prepare(Sample(path, 0, path.name), None)
        assert found.dtype == np.float32
        assert found.shape == shape
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(
            InputTransform(shape, steps)(
                Sample(path.read_bytes(), 0, ""), np.random.default_rng(0)
            ),
            expected,
        )


def test_a_image_is_varied_and_normalised_after_that() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    steps = Preprocess(mean=(0.5, 0.4, 0.3), std=(0.2,), channels="bgr")
    prepare = InputTransform((3, 8, 8), steps, Augment(flip=True))
    plain = load_image(pixels, steps, (3, 8, 8))
    found = {
        prepare(Sample(pixels, 0, ""), np.random.default_rng(seed)).tobytes() for seed in range(20)
    }
    assert found == {plain.tobytes(), np.ascontiguousarray(plain[..., ::-1]).tobytes()}


def test_values_enter_as_they_are() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    for shape in ((2, 3), (1, 2, 3)):
        found = InputTransform(shape, Preprocess())(
            Sample(values, 0, "x[0]"), np.random.default_rng(0)
        )
        np.testing.assert_array_equal(found, values.reshape(shape))
    with pytest.raises(Failure, match="the network takes 3x2, but a sample is 2x3"):
        InputTransform((3, 2), Preprocess())(Sample(values, 0, "x[0]"))
    with pytest.raises(Failure, match="`augment` needs images"):
        InputTransform((2, 3), Preprocess(), Augment(shift=1))(Sample(values, 0, "x[0]"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_bad_data(value: float) -> None:
    with pytest.raises(UnreadableSample, match=r"`x\[3\]` has values that are not finite"):
        PLAIN(Sample(np.array([value], np.float32), 0, "x[3]"))


def test_a_image_that_the_network_does_not_take_is_not_bad_data() -> None:
    with pytest.raises(Failure, match="rgb image has 3 channels") as caught:
        InputTransform((1, 8, 8), Preprocess())(Sample(np.zeros((8, 8), np.uint8), 0, ""))
    assert not isinstance(caught.value, UnreadableSample)


@pytest.mark.parametrize(
    "prepare",
    [
        InputTransform((3, 8, 8), Preprocess(resize=8)),
        MultiCropTransform((3, 8, 8), Preprocess(), 10),
    ],
)
def test_a_image_that_is_too_long_to_be_resized_is_bad_data_and_named(prepare: Any) -> None:
    strip = np.zeros((1, 5_000_000, 3), np.uint8)
    with pytest.raises(
        UnreadableSample, match=r"`x\[3\]`: the image would be resized to \d{8}x[89]"
    ):
        prepare(Sample(strip, 0, "x[3]"))


def test_a_network_that_is_too_large_for_a_image_is_not_bad_data() -> None:
    with pytest.raises(Failure, match="would be resized to 65536x65536") as caught:
        InputTransform((3, 8, 8), Preprocess(resize=(2**16, 2**16)))(
            Sample(np.zeros((8, 8), np.uint8), 0, "")
        )
    assert not isinstance(caught.value, UnreadableSample)
