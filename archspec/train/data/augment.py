"""How a picture is varied in training, as `augment` states it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numpy.random import Generator
from PIL import Image, ImageEnhance, ImageOps

from archspec.images import INTERPOLATIONS, fit, placed, resampling
from archspec.ir.document import Preprocess
from archspec.ir.recipe import Augment

TRIES = 10
"""How often a crop is drawn that may not fit into the picture, before the centre is taken."""
WAYS: tuple[Callable[[Image.Image], Any], ...] = (
    ImageEnhance.Brightness,
    ImageEnhance.Contrast,
    ImageEnhance.Color,
)


def vary(
    image: Image.Image,
    steps: Preprocess,
    augment: Augment,
    shape: tuple[int, ...],
    random: Generator,
) -> Image.Image:
    """A picture of the input's size, varied by what `random` draws."""
    if augment.interpolation == "random":
        steps = steps.model_copy(
            update={"interpolation": INTERPOLATIONS[random.integers(len(INTERPOLATIONS))]}
        )
    if augment.area is None:
        image = fit(image, steps, shape)
    else:
        box = crop_box(image.size, augment.area, augment.aspect, random)
        image = image.crop(box).resize((shape[2], shape[1]), resampling(steps.interpolation))
    if augment.flip and random.random() < 0.5:
        image = ImageOps.mirror(image)
    image = _coloured(image, augment, random)
    # Last, so that what is moved in is zero.
    right, down = map(int, random.integers(-augment.shift, augment.shift, 2, endpoint=True))
    return placed(image, image.size, (right, down), steps) if right or down else image


def crop_box(
    size: tuple[int, int], area: tuple[float, float], aspect: tuple[float, float], random: Generator
) -> tuple[int, int, int, int]:
    """A part of a picture: its share of the area is uniform, and so is the logarithm of its aspect.

    Where ten draws do not fit, it is the largest part at the centre whose aspect is within the bounds.
    """
    width, height = size
    for _ in range(TRIES):
        share = random.uniform(*area) * width * height
        ratio = math.exp(random.uniform(math.log(aspect[0]), math.log(aspect[1])))
        w, h = round(math.sqrt(share * ratio)), round(math.sqrt(share / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(random.integers(width - w + 1)), int(random.integers(height - h + 1))
            return left, top, left + w, top + h
    ratio = min(max(width / height, aspect[0]), aspect[1])
    w, h = max(min(width, round(height * ratio)), 1), max(min(height, round(width / ratio)), 1)
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _coloured(image: Image.Image, augment: Augment, random: Generator) -> Image.Image:
    """Brightness, contrast and saturation, in an order that is drawn too."""
    amounts = (augment.brightness, augment.contrast, augment.saturation)
    for place in map(int, random.permutation(len(WAYS))):
        if amounts[place]:
            image = WAYS[place](image).enhance(
                random.uniform(1 - amounts[place], 1 + amounts[place])
            )
    return image
