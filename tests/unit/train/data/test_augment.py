"""How images are varied, held against torchvision where it means the same, and against arithmetic on pixels."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from archspec.images import resize_and_crop
from archspec.ir.document import Preprocess
from archspec.ir.recipe import Augment
from archspec.train.data.augment import augment_image, crop_box
from tests.helpers import torchvision_cpu

torchvision_cpu.load()
v2: Any = import_module("torchvision.transforms.v2")
functional = v2.functional

NOISE = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
PIXELS = np.asarray(Image.fromarray(NOISE).resize((48, 40), Image.Resampling.BICUBIC))
SHAPE = (3, 40, 48)


def varied(
    augment: Augment,
    random: Any,
    pixels: Any = PIXELS,
    steps: Preprocess | None = None,
    shape: Any = SHAPE,
) -> Any:
    return np.asarray(
        augment_image(Image.fromarray(pixels), steps or Preprocess(), augment, shape, random)
    )


@dataclass
class Draws:
    """What a generator would draw, written down."""

    at: float = 0.5
    """Where in its range a real number is."""
    order: tuple[int, ...] = (0, 1, 2)
    moves: tuple[int, ...] = (0, 0)

    def uniform(self, low: float, high: float) -> float:
        return low + self.at * (high - low)

    def permutation(self, _count: int) -> Any:
        return np.array(self.order)

    def integers(self, *_bounds: int, endpoint: bool = False) -> Any:
        return np.array(self.moves)

    def random(self) -> float:
        return self.at


def test_what_is_not_stated_is_left_as_it_is() -> None:
    for steps, shape in (
        (Preprocess(), SHAPE),
        (Preprocess(resize=20, interpolation="bicubic"), (3, 16, 16)),
    ):
        expected = np.asarray(resize_and_crop(Image.fromarray(PIXELS), steps, shape))
        for seed in range(5):
            np.testing.assert_array_equal(
                varied(Augment(), np.random.default_rng(seed), steps=steps, shape=shape), expected
            )


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("brightness", functional.adjust_brightness),
        ("contrast", functional.adjust_contrast),
        ("saturation", functional.adjust_saturation),
    ],
)
@pytest.mark.parametrize("at", [0.0, 0.3, 0.9, 1.0])
def test_colours_are_torchvisions(name: str, theirs: Any, at: float) -> None:
    found = varied(Augment.model_validate({name: 0.6}), Draws(at))
    tensor = theirs(torch.from_numpy(PIXELS.copy()).permute(2, 0, 1), 0.4 + 1.2 * at)
    # torchvision's tensors round down, Pillow's images to the nearest, and the grey mean to a whole number.
    assert np.abs(found.astype(int) - tensor.permute(1, 2, 0).numpy()).max() <= 2
    assert not np.array_equal(found, PIXELS)


def test_the_order_of_the_colours_is_drawn_and_followed() -> None:
    augment = Augment(brightness=0.8, contrast=0.8, saturation=0.8)
    ways = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)
    image: Any = Image.fromarray(PIXELS)
    results = set[bytes]()
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        expected = image
        for place in order:
            expected = ways[place](expected, 1.8)
        found = varied(augment, Draws(1.0, order))
        np.testing.assert_array_equal(found, np.asarray(expected))
        results.add(found.tobytes())
    assert len(results) == 3
    seeds = {
        varied(
            augment.model_copy(update={"saturation": 0.0}), np.random.default_rng(seed)
        ).tobytes()
        for seed in range(9)
    }
    assert len(seeds) == 9


def test_every_other_image_is_mirrored() -> None:
    found = [varied(Augment(flip=True), np.random.default_rng(seed)) for seed in range(200)]
    mirrored = [bool((x == PIXELS[:, ::-1]).all()) for x in found]
    assert all(turned or (x == PIXELS).all() for turned, x in zip(mirrored, found, strict=True))
    assert 75 <= sum(mirrored) <= 125  # 3.5 deviations


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize(("right", "down"), [(0, 0), (3, -2), (-1, 3), (-3, 0)])
def test_what_is_moved_in_is_zero_for_the_network(right: int, down: int, invert: bool) -> None:
    found = varied(Augment(shift=3), Draws(moves=(right, down)), steps=Preprocess(invert=invert))
    padded = np.pad(PIXELS, ((3, 3), (3, 3), (0, 0)), constant_values=255 if invert else 0)
    np.testing.assert_array_equal(found, padded[3 - down : 43 - down, 3 - right : 51 - right])


def test_every_shift_within_the_bound_happens() -> None:
    dot = np.zeros((7, 7), np.uint8)
    dot[3, 3] = 255
    places = Counter(
        int(
            varied(
                Augment(shift=1),
                np.random.default_rng(seed),
                dot,
                Preprocess(channels="gray"),
                (1, 7, 7),
            ).argmax()
        )
        for seed in range(900)
    )
    assert set(places) == {y * 7 + x for y in (2, 3, 4) for x in (2, 3, 4)}
    assert min(places.values()) > 60  # 100 each


sizes = st.tuples(st.integers(1, 80), st.integers(1, 80))


@given(sizes, st.floats(0.05, 1), st.floats(0.05, 1), st.integers(0, 1000))
def test_a_crop_lies_in_the_image(
    size: tuple[int, int], one: float, other: float, seed: int
) -> None:
    left, top, right, bottom = crop_box(
        size, (min(one, other), max(one, other)), (3 / 4, 4 / 3), np.random.default_rng(seed)
    )
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]


def test_a_crops_share_and_aspect_are_as_stated() -> None:
    random = np.random.default_rng(0)
    boxes = np.array([crop_box((1000, 800), (0.1, 0.3), (0.5, 2.0), random) for _ in range(2000)])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    share, aspect = width * height / 800_000, np.log(width / height)
    assert (share.min(), share.max()) == pytest.approx((0.1, 0.3), abs=2e-3)
    assert share.mean() == pytest.approx(0.2, abs=0.005)
    assert share.std() == pytest.approx(0.2 / math.sqrt(12), rel=0.05)
    assert (aspect.min(), aspect.max()) == pytest.approx((-math.log(2), math.log(2)), abs=0.02)
    assert aspect.mean() == pytest.approx(0, abs=0.05)
    assert (
        boxes[:, 0].min(),
        boxes[:, 1].min(),
        boxes[:, 2].max(),
        boxes[:, 3].max(),
    ) == pytest.approx((0, 0, 1000, 800), abs=5)


@given(sizes, st.sampled_from([(3 / 4, 4 / 3), (1.0, 1.0), (0.2, 0.5), (2.0, 3.0)]))
def test_where_no_crop_fits_it_is_torchvisions_at_the_centre(
    size: tuple[int, int], aspect: tuple[float, float]
) -> None:
    found = crop_box(size, (9.0, 9.0), aspect, np.random.default_rng(0))  # larger than any image
    crop: Any = v2.RandomResizedCrop(8, scale=(9.0, 9.0), ratio=aspect)
    theirs = crop.make_params([torch.zeros(3, size[1], size[0])])
    width, height = max(theirs["width"], 1), max(theirs["height"], 1)
    assert (found[2] - found[0], found[3] - found[1]) == (width, height)
    assert abs(found[0] - theirs["left"]) <= 1
    assert abs(found[1] - theirs["top"]) <= 1


@pytest.mark.parametrize(
    ("method", "called"),
    [("nearest", "nearest"), ("bilinear", "bilinear"), ("bicubic", "bicubic"), ("area", "box")],
)
def test_a_crop_is_resized_as_torchvision_does(method: Any, called: str) -> None:
    steps = Preprocess(
        interpolation=method, resize=9
    )  # `resize` is for images that are not cropped so
    for seed in range(5):
        found = varied(
            Augment(area=(0.1, 0.9)), np.random.default_rng(seed), steps=steps, shape=(3, 16, 24)
        )
        left, top, right, bottom = crop_box(
            (48, 40), (0.1, 0.9), (3 / 4, 4 / 3), np.random.default_rng(seed)
        )
        image: Any = Image.fromarray(PIXELS)
        theirs = functional.resized_crop(
            image, top, left, bottom - top, right - left, [16, 24], v2.InterpolationMode(called)
        )
        np.testing.assert_array_equal(found, np.asarray(theirs))


def test_a_random_interpolation_is_one_of_the_four() -> None:
    stated = set[bytes]()
    for name in ("nearest", "bilinear", "bicubic", "area"):
        steps = Preprocess.model_validate({"resize": 20, "interpolation": name})
        stated.add(
            np.asarray(resize_and_crop(Image.fromarray(PIXELS), steps, (3, 20, 20))).tobytes()
        )
    random = Augment(interpolation="random")
    found = Counter(
        varied(
            random, np.random.default_rng(seed), steps=Preprocess(resize=20), shape=(3, 20, 20)
        ).tobytes()
        for seed in range(120)
    )
    assert set(found) == stated
    assert len(stated) == 4
    assert min(found.values()) > 12
