"""Augmentation of training images, as `train.augment` states it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numpy.random import Generator
from PIL import Image, ImageEnhance, ImageOps

from archspec.images import INTERPOLATIONS, paste_at, resampling, resize_and_crop
from archspec.ir.document import Preprocess
from archspec.ir.recipe import Augment

MAX_TRIES = 10
"""Number of random crops to try that may not fit the image, before the centre is taken."""
ENHANCERS: tuple[Callable[[Image.Image], Any], ...] = (
    ImageEnhance.Brightness,
    ImageEnhance.Contrast,
    ImageEnhance.Color,
)


def augment_image(
    image: Image.Image,
    preprocess: Preprocess,
    augment: Augment,
    shape: tuple[int, ...],
    random: Generator,
) -> Image.Image:
    """Return an image of the input's size, augmented by what `random` draws."""
    if augment.interpolation == "random":
        method = INTERPOLATIONS[random.integers(len(INTERPOLATIONS))]
        preprocess = preprocess.model_copy(update={"interpolation": method})
    if augment.area is None:
        image = resize_and_crop(image, preprocess, shape)
    else:
        box = crop_box(image.size, augment.area, augment.aspect, random)
        size = (shape[2], shape[1])
        image = image.crop(box).resize(size, resampling(preprocess.interpolation))
    if augment.flip and random.random() < 0.5:
        image = ImageOps.mirror(image)
    image = _jitter_color(image, augment, random)
    # Last, so that the border it brings in is zero.
    right, down = map(int, random.integers(-augment.shift, augment.shift, 2, endpoint=True))
    if right or down:
        image = paste_at(image, image.size, (right, down), preprocess)
    return image


def crop_box(
    size: tuple[int, int], area: tuple[float, float], aspect: tuple[float, float], random: Generator
) -> tuple[int, int, int, int]:
    """Draw a crop whose share of the area, and the logarithm of whose aspect, are uniform.

    If ten draws do not fit, return the largest central crop with an aspect within the bounds.
    """
    width, height = size
    for _ in range(MAX_TRIES):
        pixels = random.uniform(*area) * width * height
        ratio = math.exp(random.uniform(math.log(aspect[0]), math.log(aspect[1])))
        w = round(math.sqrt(pixels * ratio))
        h = round(math.sqrt(pixels / ratio))
        if 0 < w <= width and 0 < h <= height:
            left = int(random.integers(width - w + 1))
            top = int(random.integers(height - h + 1))
            return left, top, left + w, top + h
    ratio = min(max(width / height, aspect[0]), aspect[1])
    w = max(min(width, round(height * ratio)), 1)
    h = max(min(height, round(width / ratio)), 1)
    left = (width - w) // 2
    top = (height - h) // 2
    return left, top, left + w, top + h


def _jitter_color(image: Image.Image, augment: Augment, random: Generator) -> Image.Image:
    """Change brightness, contrast and saturation in a random order."""
    amounts = (augment.brightness, augment.contrast, augment.saturation)
    for index in map(int, random.permutation(len(ENHANCERS))):
        amount = amounts[index]
        if amount:
            factor = random.uniform(1 - amount, 1 + amount)
            image = ENHANCERS[index](image).enhance(factor)
    return image
