"""The crops that an opinion is averaged over: which parts of an image they are."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from archspec.diagnostics import Failure
from archspec.ir.document import Preprocess
from archspec.train.data import MultiCropTransform, Sample
from archspec.train.data.multi_crop import SCALES, crops, note_on_crops
from tests.helpers import torchvision_cpu

torchvision_cpu.load()

from torchvision.transforms import v2  # noqa: E402 - torchvision is there once it is loaded


def coordinates(width: int, height: int) -> Image.Image:
    """A image whose red is the column and whose green the row, as shares of 255."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 0 * x], axis=-1).round().astype(np.uint8))


def test_ten_are_torchvisions_of_the_middle_square() -> None:
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (256, 400, 3)).astype(np.uint8)
    )
    square = image.crop((72, 0, 328, 256))
    expected = [np.asarray(one) for one in v2.TenCrop(224)(square)]
    found = [np.asarray(one) for one in crops(image, 224, 10)]
    # Theirs are five, and then five of the mirrored image, whose left is our right; ours lie side by side.
    order = [0, 6, 1, 5, 2, 8, 3, 7, 4, 9]
    assert all((one == expected[at]).all() for one, at in zip(found, order, strict=True))


@pytest.mark.parametrize(("width", "height"), [(500, 375), (375, 500), (300, 300), (30, 20)])
@pytest.mark.parametrize("many", [10, 144])
def test_each_is_of_the_inputs_size_and_has_its_mirror_image(
    width: int, height: int, many: int
) -> None:
    found = list(crops(coordinates(width, height), 32, many))  # pyright: ignore[reportArgumentType]
    assert len(found) == many
    assert {view.size for view in found} == {(32, 32)}
    for one, other in zip(found[::2], found[1::2], strict=True):
        assert ImageOps.mirror(one).tobytes() == other.tobytes()


@pytest.mark.parametrize(("width", "height", "axis"), [(600, 300, 0), (300, 600, 1)])
def test_the_squares_are_along_the_longer_side(width: int, height: int, axis: int) -> None:
    """Of each scale's whole squares the middle is at a quarter, the half and three quarters of the longer side."""
    found = list(crops(coordinates(width, height), 224, 144))[::2]  # without mirror images
    wholes = found[5::6]  # the sixth of each square is the square itself
    assert len(wholes) == 3 * len(SCALES)
    middles = [np.asarray(view)[..., axis].mean() / 255 for view in wholes]
    assert middles == pytest.approx([0.25, 0.5, 0.75] * len(SCALES), abs=0.01)
    other = [np.asarray(view)[..., 1 - axis].mean() / 255 for view in wholes]
    assert other == pytest.approx([0.5] * 12, abs=0.01)


def test_a_larger_scale_shows_less() -> None:
    found = list(crops(coordinates(400, 400), 224, 144))[::2]
    shown = [
        int(np.ptp(np.asarray(view)[..., 0])) for view in found[4::6]
    ]  # the crops at the centre
    expected = [255 * 224 / scale for scale in SCALES for _ in range(3)]
    assert shown == pytest.approx(expected, abs=3)


def test_the_crops_of_a_square_are_its_corners_and_its_centre() -> None:
    corners = [
        np.asarray(view)[..., :2].reshape(-1, 2).mean(0)
        for view in list(crops(coordinates(256, 256), 224, 10))[::2]
    ]
    sides = Counter(
        (
            int(np.sign(x - 127.5 + 1e-9) if abs(x - 127.5) > 2 else 0),
            int(np.sign(y - 127.5) if abs(y - 127.5) > 2 else 0),
        )
        for x, y in corners
    )
    assert sides == Counter([(-1, -1), (1, -1), (-1, 1), (1, 1), (0, 0)])


@pytest.mark.parametrize(("width", "height"), [(60, 45), (45, 60)])
def test_ten_are_torchvisions_of_the_specs_resize(width: int, height: int) -> None:
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    )
    square = v2.CenterCrop(40)(v2.Resize(40)(image))
    theirs = [np.asarray(one) for one in v2.TenCrop(32)(square)]
    prepare = MultiCropTransform((3, 32, 32), Preprocess(resize=40, scale=1), 10)
    ours = prepare(Sample(np.asarray(image), 0, "x")).transpose(0, 2, 3, 1)
    for one, at in zip(ours, [0, 6, 1, 5, 2, 8, 3, 7, 4, 9], strict=True):
        assert np.abs(one - theirs[at]).max() <= 1


def test_a_height_and_a_width_to_resize_to_are_followed() -> None:
    prepare = MultiCropTransform((3, 32, 32), Preprocess(resize=(64, 40), scale=1), 144)
    found = prepare(Sample(np.asarray(coordinates(100, 100)), 0, "x"))
    # At the first scale, a corner of the upper square: half of the height and 4/5 of the width.
    spans = np.ptp(found[0], axis=(1, 2))[:2]
    assert spans == pytest.approx([255 * 32 / 40, 255 * 32 / 64], abs=8)
    # At the last one it shows as much less as the scale is larger.
    spans = np.ptp(found[36 * 3], axis=(1, 2))[:2]
    assert spans == pytest.approx([255 * 32 / 55, 255 * 32 / 88], abs=8)


@pytest.mark.parametrize(
    ("preprocess", "why"),
    [
        (Preprocess(resize=256), ""),
        (Preprocess(resize=(230, 300)), ""),
        (Preprocess(resize=224), "`resize: 224` leaves nothing around an input of 224"),
        (Preprocess(resize=(224, 300)), "`resize: 224` leaves nothing"),
        (Preprocess(), "states no `resize`"),
        (Preprocess(resize=256, crop="none"), "`crop: none` has the model see whole images"),
    ],
)
def test_where_they_do_not_follow_the_spec_it_is_said_why(preprocess: Preprocess, why: str) -> None:
    note = note_on_crops(preprocess, 224)
    assert why in note
    assert bool(note) == bool(why)
    assert "resized to 256" in note or not why


def test_they_are_normalised_as_the_spec_says() -> None:
    prepare = MultiCropTransform((3, 8, 8), Preprocess(mean=(0.5,), std=(0.25,)), 10)
    found = prepare(Sample(np.full((20, 30, 3), 255, np.uint8), 0, "x"))
    assert found.shape == prepare.shape == (10, 3, 8, 8)
    assert found.dtype == np.float32
    assert (found == 2).all()


@pytest.mark.parametrize(("shape", "kind"), [((3, 8, 8), np.float32), ((3, 8, 6), np.uint8)])
def test_of_other_values_or_for_an_oblong_input_there_are_none(
    shape: tuple[int, ...], kind: Any
) -> None:
    prepare = MultiCropTransform(shape, Preprocess(), 10)
    with pytest.raises(Failure, match="10 crops need images and a square input"):
        prepare(Sample(np.zeros((8, 8, 3), kind), 0, "x"))
