"""From image files to a model's input, as `preprocess` states it, and from outputs to classes."""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, get_args

from archspec._files import open_file
from archspec._numpy import Array
from archspec.diagnostics import Failure, quote
from archspec.ir.document import Preprocess
from archspec.ir.types import format_shape

if TYPE_CHECKING:
    from PIL import Image

ImageLike: TypeAlias = "Path | bytes | Array"
"""An image file, its content, or its pixels (H, W) or (H, W, 3)."""
MAX_PIXELS = 2**28
"""The most pixels of an image that is computed with."""
PILLOW_MODES = {"rgb": "RGB", "bgr": "RGB", "gray": "L"}
FORMATS = (
    "AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "TIFF", "WEBP"
)  # fmt: skip
"""Pillow's formats that are read: it decodes them itself and tells them by their first bytes.

For PostScript it would run a program, whatever the suffix of the file.
"""
HIGH_DEPTH_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes with more than 8 bits per value."""
INTERPOLATIONS: tuple[str, ...] = get_args(Preprocess.model_fields["interpolation"].annotation)


class UnreadableSample(Failure):
    """One image or sample is at fault; others may be fine."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """A class and its probability."""

    index: int
    label: str
    probability: float


def preprocess_of(stated: Preprocess | None, shape: Sequence[int]) -> Preprocess:
    """Return the preprocessing for an input; by default values are 0 to 1, cropped at the centre.

    >>> preprocess_of(None, (1, 28, 28)).channels
    'gray'
    """
    if stated is not None:
        return stated
    if len(shape) != 3:
        return Preprocess()
    return Preprocess(resize=min(shape[1:]), channels="gray" if shape[0] == 1 else "rgb")


def load_image(image: ImageLike, preprocess: Preprocess, shape: Sequence[int]) -> Array:
    """Return an image as one sample (C, H, W).

    Raises `Failure` if it cannot be read, or if the input does not take images.
    """
    check_input(preprocess, shape)
    pixels = read_image(image, preprocess)
    return to_input(resize_and_crop(pixels, preprocess, shape), preprocess)


def check_input(preprocess: Preprocess, shape: Sequence[int]) -> None:
    """Raise `Failure` if an input of that shape does not take such images."""
    for _, message, help in preprocess.misfits(tuple(shape)):
        raise Failure(message, help)
    if shape[1] * shape[2] > MAX_PIXELS:
        takes = f"the network takes {format_shape(tuple(shape))}"
        raise Failure(f"{takes}, which is too large for an image")


def read_image(image: ImageLike, preprocess: Preprocess, name: str = "the image") -> Image.Image:
    """Return the whole image, upright, in the colours that `preprocess` states.

    Raises `UnreadableSample`, which calls the image `name` unless it is a file.
    """
    from PIL import Image

    mode = PILLOW_MODES[preprocess.channels]
    with open_image(image, name) as opened:
        with _silenced(opened):
            opened.load()
        upright = _upright(opened)
        if upright.mode in HIGH_DEPTH_MODES:
            upright = _to_8_bits(upright, _display_name(image, name))
        # Transparent images lie on white, as viewers show them.
        if "A" in upright.getbands() or "transparency" in upright.info:
            background = Image.new("RGBA", upright.size, "white")
            return Image.alpha_composite(background, upright.convert("RGBA")).convert(mode)
        # Converting copies, and a copy of a large image takes longer than decoding it.
        return upright if upright.mode == mode else upright.convert(mode)


@contextmanager
def open_image(image: ImageLike, name: str) -> Generator[Image.Image]:
    """Yield the image as its file has it.

    Raises `UnreadableSample`, with `name` unless it is a file, if it is damaged or not an image;
    also for whatever else Pillow or the block raises, since decoders raise anything for damage.
    """
    from PIL import Image, UnidentifiedImageError

    shown = _display_name(image, name)
    try:
        with warnings.catch_warnings():
            # Pillow warns of oddities beside the pixels.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _open_with_pillow(image) as opened:
                yield opened
    except Failure:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError, MemoryError):
        raise UnreadableSample(f"the image {shown} is too large", "scale it down first") from None
    except Exception as error:
        why = getattr(error, "strerror", None) or "not a readable image, or damaged"
        help = f"known formats are {', '.join(_formats())}"
        unknown = isinstance(error, UnidentifiedImageError)
        raise UnreadableSample(
            f"cannot read {shown}: {why.lower()}", help if unknown else ""
        ) from error


def _display_name(image: ImageLike, name: str) -> str:
    return quote(image if isinstance(image, Path) else name)


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF orientation says; without a readable one it stays as it is."""
    from PIL import ExifTags, Image

    transpose = Image.Transpose
    try:
        orientation: int = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow may raise anything for a damaged EXIF
        return image
    operations = {
        2: transpose.FLIP_LEFT_RIGHT,
        3: transpose.ROTATE_180,
        4: transpose.FLIP_TOP_BOTTOM,
        5: transpose.TRANSPOSE,
        6: transpose.ROTATE_270,
        7: transpose.TRANSVERSE,
        8: transpose.ROTATE_90,
    }
    return image.transpose(operations[orientation]) if orientation in operations else image


def _to_8_bits(image: Image.Image, shown: str) -> Image.Image:
    """Keep the upper 8 of 16 bits of grey values; Pillow itself would clip them at 255."""
    import numpy as np
    from PIL import Image

    # Pillow opens these files of 16 bits in the mode of 32.
    is_16_bits = image.mode.startswith("I;16") or (
        image.mode == "I" and image.format in ("PNG", "PPM")
    )
    if not is_16_bits:
        help = "save it with values of 8 or 16"
        raise UnreadableSample(f"cannot read {shown}: its values have 32 bits", help)
    values = np.asarray(image)
    is_transparent = values == image.info.get("transparency", -1)
    return Image.fromarray(np.where(is_transparent, 255, values >> 8).astype(np.uint8))


@contextmanager
def _open_with_pillow(image: ImageLike) -> Generator[Image.Image]:
    from PIL import Image

    if isinstance(image, Path | bytes):
        content = open_file(image) if isinstance(image, Path) else BytesIO(image)
        with content as file, Image.open(file, formats=_formats()) as opened:
            yield opened
    elif image.size:
        yield Image.fromarray(image)
    else:
        raise ValueError("no pixels")


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats that this Pillow has been built with."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


_STDERR = threading.Lock()
"""Held while stderr is another: a second thread would take that for the one to put back."""


@contextmanager
def _silenced(image: Image.Image) -> Generator[None]:
    """Keep libtiff from writing on stderr what it thinks of a file, past Python."""
    if image.format != "TIFF":
        yield
        return
    with _STDERR, _without_stderr():
        yield


@contextmanager
def _without_stderr() -> Generator[None]:
    try:
        stderr = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def resize_and_crop(
    image: Image.Image, preprocess: Preprocess, shape: Sequence[int]
) -> Image.Image:
    """Return an image of the input's size, resized and cropped as `preprocess` states."""
    return _crop(_resize(image, preprocess, shape), preprocess, shape)


def to_input(image: Image.Image, preprocess: Preprocess) -> Array:
    """Return the values (C, H, W) of an image of the input's size.

    They are inverted, ordered, scaled and normalised as `preprocess` states.
    """
    import numpy as np

    pixels = np.asarray(image).reshape(image.height, image.width, -1).transpose(2, 0, 1)
    values = np.empty(pixels.shape, np.float32)
    values[...] = pixels[::-1] if preprocess.channels == "bgr" else pixels
    # In place: without new arrays this takes a quarter of the time.
    if preprocess.invert:
        np.subtract(np.float32(255), values, out=values)
    values *= np.float32(preprocess.scale)
    values -= np.asarray(preprocess.mean, np.float32)[:, None, None]
    values /= np.asarray(preprocess.std, np.float32)[:, None, None]
    return values


def resampling(interpolation: str) -> Image.Resampling:
    """Return Pillow's name for one of `INTERPOLATIONS`; `area` averages what a pixel covers."""
    from PIL import Image

    if interpolation == "area":
        return Image.Resampling.BOX
    return Image.Resampling[interpolation.upper()]


def _resize(image: Image.Image, preprocess: Preprocess, shape: Sequence[int]) -> Image.Image:
    if preprocess.crop == "none":
        size = (shape[2], shape[1])
    elif preprocess.resize is None:
        return image
    else:
        size = _resized_size(image.size, preprocess.resize)
    if size[0] * size[1] > MAX_PIXELS:
        message = f"the image would be resized to {size[0]}x{size[1]}"
        raise Failure(message, "state a smaller `resize`")
    return image.resize(size, resampling(preprocess.interpolation))


def _resized_size(size: tuple[int, int], resize: int | tuple[int, ...]) -> tuple[int, int]:
    """Return the width and height for `resize`: a height and width, or the shorter side."""
    if isinstance(resize, int):
        return shorter_side(size, resize)
    if len(resize) == 2:
        return resize[1], resize[0]
    return shorter_side(size, resize[0])


def shorter_side(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Return the size scaled to that shorter side.

    Raises `UnreadableSample` if the image is so long that it would be too large.

    >>> shorter_side((640, 480), 256)
    (341, 256)
    """
    factor = shorter / min(size)
    width, height = (max(shorter, round(length * factor)) for length in size)
    if width * height > MAX_PIXELS:
        message = f"the image would be resized to {width}x{height}"
        raise UnreadableSample(message, "cut it, or state a smaller `resize`")
    return width, height


def _crop(image: Image.Image, preprocess: Preprocess, shape: Sequence[int]) -> Image.Image:
    """Return the centre, of the input's size."""
    left = (image.width - shape[2]) // 2
    top = (image.height - shape[1]) // 2
    return paste_at(image, (shape[2], shape[1]), (-left, -top), preprocess)


def paste_at(
    image: Image.Image, size: tuple[int, int], offset: tuple[int, int], preprocess: Preprocess
) -> Image.Image:
    """Return a canvas of that size with the image at `offset`.

    Around the image values are 0 once `invert` has been applied.
    """
    from PIL import Image

    background = (255 * preprocess.invert,) * len(image.getbands())
    canvas = Image.new(image.mode, size, background)
    canvas.paste(image, offset)
    return canvas


def top_classes(
    output: Array, loss: str, labels: Sequence[str] | None, count: int
) -> list[ClassScore]:
    """Return the likeliest classes of one sample's output; one logit stands for two classes."""
    import numpy as np

    scores = _probabilities(output.astype(np.float64).reshape(-1), loss)
    if labels is not None and len(labels) != len(scores):
        message = f"there are {len(labels)} labels for {len(scores)} classes"
        raise Failure(message, "give one label per class, in order")
    best: list[int] = np.argsort(-scores, kind="stable")[:count].tolist()
    names = list(labels) if labels else [f"class {index}" for index in range(len(scores))]
    return [
        ClassScore(index, names[index], float(scores[index]))
        for index in best
        if math.isfinite(scores[index])
    ]


def _probabilities(logits: Array, loss: str) -> Array:
    import numpy as np

    if loss == "binary_cross_entropy":
        # Beyond 700 the exponential overflows.
        scores = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        return np.stack([1 - scores[0], scores[0]]) if len(scores) == 1 else scores
    if loss == "cross_entropy":
        scores = np.exp(logits - logits.max())
        return scores / scores.sum()
    return logits
