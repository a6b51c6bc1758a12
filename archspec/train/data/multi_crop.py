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
Resize: TypeAlias = "int | tuple[int, ...]"
"""The shorter side, or the height and the width."""
CROP_COUNTS: tuple[CropCount, ...] = (10, 144)
SCALES = (256, 288, 320, 352)
"""Shorter sides of the resized image in the paper, for an input of 224.

The first one is `resize` of `preprocess`, and the others are in proportion to it.
"""


def crop_resize(preprocess: Preprocess, side: int) -> tuple[Resize, str]:
    """Return the `resize` that crops of that side are cut from, and why if it is not the spec's.

    >>> crop_resize(Preprocess(resize=40), 32)
    (40, '')
    >>> crop_resize(Preprocess(resize=32), 32)
    (37, '`resize: 32` leaves nothing around an input of 32')
    """
    resize = preprocess.resize
    papers = round(side * SCALES[0] / 224)
    if preprocess.crop == "none":
        return papers, "`crop: none` has the model see whole images"
    if resize is None:
        return papers, "`preprocess` states no `resize`"
    shorter = resize if isinstance(resize, int) else min(resize)
    if shorter <= side:
        return papers, f"`resize: {shorter}` leaves nothing around an input of {side}"
    return resize if isinstance(resize, int) or len(resize) == 2 else resize[0], ""


def note_on_crops(preprocess: Preprocess, side: int) -> str:
    """Return a note for the user if crops do not follow `resize` of `preprocess`."""
    resize, reason = crop_resize(preprocess, side)
    return f"note: crops are cut from images resized to {resize}: {reason}" if reason else ""


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
            resize, _ = crop_resize(self.preprocess, self.input[1])
            cropped = crops(image, self.input[1], self.count, method, resize)
            return np.stack([to_input(crop, self.preprocess) for crop in cropped])


def crops(
    image: Image.Image,
    side: int,
    count: CropCount,
    method: Any = Image.Resampling.BILINEAR,
    resize: Resize | None = None,
) -> Iterator[Image.Image]:
    """Yield the crops, each `side` x `side`, and after each its mirror image.

    The image is resized first, by `resize` or by the paper's proportion to `side`.

    Ten: the corners and the centre of the image's central square. 144: at each of four scales, from
    the squares at the left, middle and right (top, middle and bottom of a portrait), the corners,
    the centre, and the whole square resized.
    """
    is_all = count == 144
    for scale in SCALES if is_all else SCALES[:1]:
        resized = image.resize(_resized_size(image.size, side, resize, scale), method)
        for square in _squares(resized, all=is_all):
            whole = (square.resize((side, side), method),) if is_all else ()
            for crop in (*_corners_and_centre(square, side), *whole):
                yield crop
                yield ImageOps.mirror(crop)


def _resized_size(
    size: tuple[int, int], side: int, resize: Resize | None, scale: int
) -> tuple[int, int]:
    if resize is None:
        return shorter_side(size, round(side * scale / 224))
    if isinstance(resize, int):
        return shorter_side(size, round(resize * scale / SCALES[0]))
    height, width = resize
    return round(width * scale / SCALES[0]), round(height * scale / SCALES[0])


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
