"""From pictures to a model's input, as `preprocess` states it, and from its output to the likeliest classes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from archspec._numpy import Array
from archspec.diagnostics import Failure, quote
from archspec.ir.document import Preprocess
from archspec.ir.types import format_shape

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = "Path | bytes | Array"
"""A file, its content, or its pixels (H, W) or (H, W, 3)."""
LARGEST = 2**28
"""Pixels of a picture that is computed with."""
MODES = {"rgb": "RGB", "bgr": "RGB", "gray": "L"}
DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes whose values are no bytes."""
INTERPOLATIONS: tuple[str, ...] = get_args(Preprocess.model_fields["interpolation"].annotation)


class Unreadable(Failure):
    """One picture is at fault, and no other."""


@dataclass(frozen=True, slots=True)
class Score:
    """A class and its probability."""

    index: int
    label: str
    probability: float


def preprocess_of(manifest: Mapping[str, Any]) -> Preprocess:
    """How a build's pictures enter; where its spec does not say: bytes as 0..1, cropped at the centre."""
    stated = manifest.get("preprocess")
    if stated is not None:
        return Preprocess.model_validate({**stated, "resize": _size(stated.get("resize"))})
    shape = manifest["input"]
    gray = len(shape) == 3 and shape[0] == 1
    return Preprocess(
        resize=min(shape[1:]) if len(shape) == 3 else None, channels="gray" if gray else "rgb"
    )


def _size(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def load_picture(picture: Picture, steps: Preprocess, shape: Sequence[int]) -> Array:
    """A picture as one sample (C, H, W); raises `Failure` where it cannot be read, or the input takes none."""
    check_input(steps, shape)
    return to_input(fit(read_picture(picture, steps), steps, shape), steps)


def check_input(steps: Preprocess, shape: Sequence[int]) -> None:
    """Raises `Failure` where an input of that shape takes no such pictures."""
    channels = 1 if steps.channels == "gray" else 3
    if len(shape) != 3 or shape[0] != channels:
        message = f"the network takes {format_shape(tuple(shape))}, a {steps.channels} picture has {channels} channels"
        raise Failure(message, "state `channels` under `preprocess`" if len(shape) == 3 else "")
    for name, values in (("mean", steps.mean), ("std", steps.std)):
        if len(values) not in (1, channels):
            raise Failure(
                f"`{name}` has {len(values)} numbers, a {steps.channels} picture {channels} channels"
            )
    if shape[1] * shape[2] > LARGEST:
        raise Failure(
            f"the network takes {format_shape(tuple(shape))}, which is too large for a picture"
        )


def read_picture(picture: Picture, steps: Preprocess, name: str = "the picture") -> Image.Image:
    """The whole picture, upright, in the colours that `steps` states; raises `Unreadable`, which calls it `name`."""
    from PIL import Image

    with opened(picture, name) as image:
        image.load()
        image = _upright(image)
        if image.mode in DEEP:
            image = _in_bytes(image, _called(picture, name))
        # Transparent pictures lie on white, as viewers show them.
        if "A" in image.getbands() or "transparency" in image.info:
            ground = Image.new("RGBA", image.size, "white")
            return Image.alpha_composite(ground, image.convert("RGBA")).convert(
                MODES[steps.channels]
            )
        if image.mode == MODES[steps.channels]:
            return image  # a copy of a large picture takes longer than decoding it
        return image.convert(MODES[steps.channels])


@contextmanager
def opened(picture: Picture, name: str) -> Generator[Image.Image]:
    """A picture as its file has it; raises `Unreadable`, which calls it `name`, where it is none, or damaged."""
    from PIL import Image

    called = _called(picture, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd beside the pixels
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _opened(picture) as image:
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Unreadable(f"the picture {called} is too large", "scale it down first") from None
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        why = (
            getattr(error, "strerror", None)
            or "it is no picture that can be read, or it is damaged"
        )
        raise Unreadable(f"cannot read {called}: {why.lower()}") from error


def _called(picture: Picture, name: str) -> str:
    return quote(picture if isinstance(picture, Path) else name)


def _upright(image: Image.Image) -> Image.Image:
    """As its EXIF says that the camera was held; one that cannot be read says nothing."""
    from PIL import ExifTags, Image

    way = Image.Transpose
    try:
        orientation: int = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow raises what it likes where an EXIF is damaged
        return image
    turned = {
        2: way.FLIP_LEFT_RIGHT,
        3: way.ROTATE_180,
        4: way.FLIP_TOP_BOTTOM,
        5: way.TRANSPOSE,
        6: way.ROTATE_270,
        7: way.TRANSVERSE,
        8: way.ROTATE_90,
    }
    return image.transpose(turned[orientation]) if orientation in turned else image


def _in_bytes(image: Image.Image, called: str) -> Image.Image:
    """Of grey values of 16 bits the upper 8, as of colours; Pillow itself would cut them off at 255."""
    import numpy as np
    from PIL import Image

    if not image.mode.startswith("I;16") and (image.mode, image.format) not in (
        ("I", "PNG"),
        ("I", "PPM"),
    ):
        raise Unreadable(
            f"cannot read {called}: its values have 32 bits", "save it with values of 8 or 16"
        )
    values = np.asarray(image)
    clear = values == image.info.get("transparency", -1)
    return Image.fromarray(np.where(clear, 255, values >> 8).astype(np.uint8))


def _opened(picture: Picture) -> Image.Image:
    from PIL import Image

    if isinstance(picture, Path):
        return Image.open(picture)
    if isinstance(picture, bytes):
        return Image.open(BytesIO(picture))
    if not picture.size:
        raise ValueError("no pixels")
    return Image.fromarray(picture)


def fit(image: Image.Image, steps: Preprocess, shape: Sequence[int]) -> Image.Image:
    """A picture of the input's size: resized and cropped as `steps` states."""
    return _crop(_resize(image, steps, shape), steps, shape)


def to_input(image: Image.Image, steps: Preprocess) -> Array:
    """The values of a picture that fits, (C, H, W): inverted, ordered, scaled and normalised as `steps` states."""
    import numpy as np

    pixels = np.asarray(image).reshape(image.height, image.width, -1).transpose(2, 0, 1)
    values = np.empty(pixels.shape, np.float32)
    values[...] = pixels[::-1] if steps.channels == "bgr" else pixels
    # In place: what is not allocated anew takes a quarter of the time.
    if steps.invert:
        np.subtract(np.float32(255), values, out=values)
    values *= np.float32(steps.scale)
    values -= np.asarray(steps.mean, np.float32)[:, None, None]
    values /= np.asarray(steps.std, np.float32)[:, None, None]
    return values


def resampling(interpolation: str) -> Image.Resampling:
    """Pillow's name for a method of `INTERPOLATIONS`; `area` is the mean of what a pixel covers."""
    from PIL import Image

    return (
        Image.Resampling.BOX if interpolation == "area" else Image.Resampling[interpolation.upper()]
    )


def _resize(image: Image.Image, steps: Preprocess, shape: Sequence[int]) -> Image.Image:
    if steps.crop == "none":
        size = (shape[2], shape[1])
    elif steps.resize is None:
        return image
    elif isinstance(steps.resize, tuple) and len(steps.resize) == 2:
        size = (steps.resize[1], steps.resize[0])
    else:
        size = shorter_side(
            image.size, steps.resize[0] if isinstance(steps.resize, tuple) else steps.resize
        )
    if size[0] * size[1] > LARGEST:
        raise Failure(
            f"the picture would be resized to {size[0]}x{size[1]}", "state a smaller `resize`"
        )
    return image.resize(size, resampling(steps.interpolation))


def shorter_side(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """The size whose shorter side is that; raises `Unreadable` where a picture is too long for it.

    >>> shorter_side((640, 480), 256)
    (341, 256)
    """
    factor = shorter / min(size)
    width, height = (max(shorter, round(length * factor)) for length in size)
    if width * height > LARGEST:
        raise Unreadable(
            f"the picture would be resized to {width}x{height}",
            "cut it, or state a smaller `resize`",
        )
    return width, height


def _crop(image: Image.Image, steps: Preprocess, shape: Sequence[int]) -> Image.Image:
    """The centre of the input's size."""
    left, top = (image.width - shape[2]) // 2, (image.height - shape[1]) // 2
    return placed(image, (shape[2], shape[1]), (-left, -top), steps)


def placed(
    image: Image.Image, size: tuple[int, int], place: tuple[int, int], steps: Preprocess
) -> Image.Image:
    """A picture of that size with the given one at `place`; around it values are 0 once `invert` has been applied."""
    from PIL import Image

    found = Image.new(image.mode, size, (255 * steps.invert,) * len(image.getbands()))
    found.paste(image, place)
    return found


def top(output: Array, loss: str, labels: Sequence[str] | None, count: int) -> list[Score]:
    """The likeliest classes of one sample's output; one logit stands for two classes."""
    import numpy as np

    logits = output.astype(np.float64).reshape(-1)
    if loss == "binary_cross_entropy":
        scores = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        scores = np.stack([1 - scores[0], scores[0]]) if len(scores) == 1 else scores
    elif loss == "cross_entropy":
        scores = np.exp(logits - logits.max())
        scores /= scores.sum()
    else:
        scores = logits
    if labels is not None and len(labels) != len(scores):
        raise Failure(
            f"{len(labels)} labels name {len(scores)} classes", "give one label a class, in order"
        )
    best: list[int] = np.argsort(-scores, kind="stable")[:count].tolist()
    names = list(labels) if labels else [f"class {i}" for i in range(len(scores))]
    return [Score(i, names[i], float(scores[i])) for i in best if math.isfinite(scores[i])]
