"""Several crops of a picture, to average a model's opinion over: ten, or the 144 of the GoogLeNet paper.

>>> from PIL import Image
>>> [len(list(views(Image.new("L", (400, 300)), 224, many))) for many in COUNTS]
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
from archspec.train.data.prepare import naming, read_sample
from archspec.train.data.source import Sample

Views: TypeAlias = Literal[10, 144]
COUNTS: tuple[Views, ...] = (10, 144)
SCALES = (256, 288, 320, 352)
"""The shorter sides that a picture is resized to for an input of 224; for another input in proportion."""


@dataclass(frozen=True)
class PrepareViews:
    """Makes a sample so many inputs; with nothing to draw, as in evaluation."""

    input: tuple[int, ...]
    steps: Preprocess
    many: Views
    varies = False

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.many, *self.input)

    def __call__(self, sample: Sample, random: Generator | None = None) -> NDArray[np.float32]:
        picture = read_sample(sample, self.steps)
        check_input(self.steps, self.input)
        if isinstance(picture, np.ndarray) or self.input[1] != self.input[2]:
            raise Failure(f"{self.many} crops are of pictures, for an input that is a square")
        with naming(sample):
            found = views(picture, self.input[1], self.many, resampling(self.steps.interpolation))
            return np.stack([to_input(view, self.steps) for view in found])


def views(
    image: Image.Image, side: int, many: Views, method: Any = Image.Resampling.BILINEAR
) -> Iterator[Image.Image]:
    """The crops, each `side` x `side` and beside it its mirror image.

    Ten: the corners and the centre of the square in the middle of the picture. 144: at each of four scales, of the
    squares at the left, in the middle and at the right, or at the top, in the middle and at the bottom of a portrait,
    the corners, the centre, and the whole square resized.
    """
    for scale in SCALES if many == 144 else SCALES[:1]:
        for square in _squares(_resized(image, round(side * scale / 224), method), all=many == 144):
            whole = (square.resize((side, side), method),) if many == 144 else ()
            for view in (*_corners_and_centre(square, side), *whole):
                yield view
                yield ImageOps.mirror(view)


def _resized(image: Image.Image, shorter: int, method: Any) -> Image.Image:
    return image.resize(shorter_side(image.size, shorter), method)


def _squares(image: Image.Image, *, all: bool) -> Iterator[Image.Image]:
    size, rest = min(image.size), max(image.size) - min(image.size)
    for away in (0, rest // 2, rest) if all else (rest // 2,):
        left, top = (away, 0) if image.width > image.height else (0, away)
        yield image.crop((left, top, left + size, top + size))


def _corners_and_centre(square: Image.Image, side: int) -> Iterator[Image.Image]:
    far, middle = square.width - side, (square.width - side) // 2
    for left, top in ((0, 0), (far, 0), (0, far), (far, far), (middle, middle)):
        yield square.crop((left, top, left + side, top + side))
