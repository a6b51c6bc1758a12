"""From a sample to the model's input: `preprocess` as in `archspec run`, `augment` in training."""

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
from archspec.images import (
    ImageLike,
    UnreadableSample,
    check_input,
    read_image,
    resize_and_crop,
    to_input,
)
from archspec.ir.document import Preprocess
from archspec.ir.recipe import Augment
from archspec.ir.types import format_shape
from archspec.train.data.augment import augment_image
from archspec.train.data.source import FileSlice, RemovedImage, Sample

NO_AUGMENT = Augment()


class RemovedSample(UnreadableSample):
    """A sample that is known to be gone: it is skipped even where others are errors."""


@dataclass(frozen=True)
class InputTransform:
    """Turns samples into inputs of a shape."""

    shape: tuple[int, ...]
    preprocess: Preprocess
    augment: Augment = field(default_factory=Augment)

    @property
    def augments(self) -> bool:
        return self.augment != NO_AUGMENT

    def __call__(self, sample: Sample, random: Random | None = None) -> NDArray[np.float32]:
        """Return the input, augmented by what `random` draws, or not augmented without it.

        Raises `UnreadableSample` if the sample is at fault.
        """
        image = read_sample(sample, self.preprocess)
        if isinstance(image, np.ndarray):
            return self._reshape_values(image)
        check_input(self.preprocess, self.shape)
        with naming_sample(sample):
            if random is None:
                image = resize_and_crop(image, self.preprocess, self.shape)
            else:
                image = augment_image(image, self.preprocess, self.augment, self.shape, random)
        return to_input(image, self.preprocess)

    def _reshape_values(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.augments:
            raise Failure("`augment` needs images, and these data are other values")
        if self.shape not in (values.shape, (1, *values.shape)):
            expected = format_shape(self.shape)
            actual = format_shape(values.shape)
            raise Failure(f"the network takes {expected}, but a sample is {actual}")
        return values.reshape(self.shape)


@contextmanager
def naming_sample(sample: Sample) -> Generator[None]:
    """Put the sample's name before the message of an `UnreadableSample`."""
    try:
        yield
    except UnreadableSample as error:
        raise UnreadableSample(f"{quote(sample.name)}: {error.message}", error.help) from None


def read_sample(sample: Sample, preprocess: Preprocess) -> Image.Image | NDArray[np.float32]:
    """Return the whole image, or the values; raise `UnreadableSample` if they cannot be read."""
    image = sample.image
    if isinstance(image, RemovedImage):
        raise RemovedSample(f"{quote(sample.name)} is gone")
    if isinstance(image, FileSlice):
        try:
            image = image.read()
        except OSError as error:
            raise UnreadableSample(f"cannot read {quote(sample.name)}: {reason(error)}") from error
    if not isinstance(image, np.ndarray) or image.dtype == np.uint8:
        return read_image(cast("ImageLike", image), preprocess, sample.name)
    if not np.isfinite(image).all():
        raise UnreadableSample(f"{quote(sample.name)} has values that are not finite")
    return image.astype(np.float32, copy=False)
