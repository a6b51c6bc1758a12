"""Several crops of an image to average outputs over: ten, or the 144 of the GoogLeNet paper.

>>> from PIL import Image
>>> [len(list(crops(Image.new("L", (400, 300)), 224, count))) for count in CROP_COUNTS]
[10, 144]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageOps

from archspec.diagnostics import Failure
from archspec.images import check_input, resampling, shorter_side, to_input
from archspec.ir.document import Preprocess
from archspec.train.data.prepare import naming_sample, read_sample
from archspec.train.data.source import Sample

CropCount: TypeAlias = Literal[10, 144]
CROP_COUNTS: tuple[CropCount, ...] = (10, 144)
SCALES = (256, 288, 320, 352)
"""Shorter sides of the resized image for an input of 224; other inputs scale in proportion."""


@dataclass(frozen=True)
class MultiCropTransform:
    """Turns a sample into `count` inputs; it draws nothing."""

    input: tuple[int, ...]
    preprocess: Preprocess
    count: CropCount
    augments = False

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, *self.input)

    def __call__(self, sample: Sample, random: Generator | None = None) -> NDArray[np.float32]:
        image = read_sample(sample, self.preprocess)
        check_input(self.preprocess, self.input)
        if isinstance(image, np.ndarray) or self.input[1] != self.input[2]:
            raise Failure(f"{self.count} crops need images and a square input")
        with naming_sample(sample):
            method = resampling(self.preprocess.interpolation)
            cropped = crops(image, self.input[1], self.count, method)
            return np.stack([to_input(crop, self.preprocess) for crop in cropped])


def crops(
    image: Image.Image, side: int, count: CropCount, method: Any = Image.Resampling.BILINEAR
) -> Iterator[Image.Image]:
    """Yield the crops, each `side` x `side`, and after each its mirror image.

    Ten: the corners and the centre of the image's central square. 144: at each of four scales, from
    the squares at the left, middle and right (top, middle and bottom of a portrait), the corners,
    the centre, and the whole square resized.
    """
    is_all = count == 144
    for scale in SCALES if is_all else SCALES[:1]:
        shorter = round(side * scale / 224)
        resized = image.resize(shorter_side(image.size, shorter), method)
        for square in _squares(resized, all=is_all):
            whole = (square.resize((side, side), method),) if is_all else ()
            for crop in (*_corners_and_centre(square, side), *whole):
                yield crop
                yield ImageOps.mirror(crop)


def _squares(image: Image.Image, *, all: bool) -> Iterator[Image.Image]:
    size = min(image.size)
    rest = max(image.size) - size
    for offset in (0, rest // 2, rest) if all else (rest // 2,):
        left, top = (offset, 0) if image.width > image.height else (0, offset)
        yield image.crop((left, top, left + size, top + size))


def _corners_and_centre(square: Image.Image, side: int) -> Iterator[Image.Image]:
    far = square.width - side
    middle = far // 2
    for left, top in ((0, 0), (far, 0), (0, far), (far, far), (middle, middle)):
        yield square.crop((left, top, left + side, top + side))
