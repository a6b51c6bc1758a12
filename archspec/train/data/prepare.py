"""From a sample to the model's input: `preprocess` as `archspec run` does it, and `augment` in training."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.random import Generator as Random
from numpy.typing import NDArray
from PIL import Image

from archspec.diagnostics import Failure, quote, reason
from archspec.images import Picture, Unreadable, check_input, fit, read_picture, to_input
from archspec.ir.document import Preprocess
from archspec.ir.recipe import Augment
from archspec.ir.types import format_shape
from archspec.train.data.augment import vary
from archspec.train.data.source import Content, Sample

AS_IT_IS = Augment()


@dataclass(frozen=True)
class Prepare:
    """Makes samples inputs of a shape."""

    shape: tuple[int, ...]
    steps: Preprocess
    augment: Augment = field(default_factory=Augment)

    @property
    def varies(self) -> bool:
        return self.augment != AS_IT_IS

    def __call__(self, sample: Sample, random: Random | None = None) -> NDArray[np.float32]:
        """The input, varied by what `random` draws, or as it is used; `Unreadable` where the sample is at fault."""
        picture = read_sample(sample, self.steps)
        if isinstance(picture, np.ndarray):
            return self._values(picture)
        check_input(self.steps, self.shape)
        with naming(sample):
            if random is None:
                picture = fit(picture, self.steps, self.shape)
            else:
                picture = vary(picture, self.steps, self.augment, self.shape, random)
        return to_input(picture, self.steps)

    def _values(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.varies:
            raise Failure("`augment` varies pictures, and the data are other values")
        if self.shape not in (values.shape, (1, *values.shape)):
            raise Failure(
                f"the network takes {format_shape(self.shape)}, a sample is {format_shape(values.shape)}"
            )
        return values.reshape(self.shape)


@contextmanager
def naming(sample: Sample) -> Generator[None]:
    """Says of which sample it is true what an `Unreadable` tells."""
    try:
        yield
    except Unreadable as error:
        raise Unreadable(f"{quote(sample.name)}: {error.message}", error.help) from None


def read_sample(sample: Sample, steps: Preprocess) -> Image.Image | NDArray[np.float32]:
    """The whole picture, or the values; raises `Unreadable` where the sample is at fault."""
    picture = sample.picture
    if isinstance(picture, Content):
        try:
            picture = picture.read()
        except OSError as error:
            raise Unreadable(f"cannot read {quote(sample.name)}: {reason(error)}") from error
    if not isinstance(picture, np.ndarray) or picture.dtype == np.uint8:
        return read_picture(cast("Picture", picture), steps, sample.name)
    if not np.isfinite(picture).all():
        raise Unreadable(f"{quote(sample.name)} has values that are not finite")
    return picture.astype(np.float32, copy=False)
