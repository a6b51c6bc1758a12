"""JPEGs as training and `archspec run` read them, by Pillow, against the decoders that are installed beside it.

`pip install simplejpeg opencv-python-headless pyvips[binary]` brings the peers; one that is absent is left out. All end
with an image of Pillow's, which is what is scaled and varied. A ratio below 1 says that ours takes less of the
processor's time; below it is how far a peer's pixels are from ours, at the most, once both are scaled down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measure import Figure, alternate_for, ratios

if TYPE_CHECKING:
    from PIL.Image import Image

SECONDS = 15  # for each size
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
SIZES = {"500x375": (500, 375), "2000x1500": (2000, 1500)}
SMALL = (341, 256)

Decoder = Callable[[bytes], "Image"]


def figures(seconds: float = SECONDS) -> Iterator[Figure]:
    found = decoders()
    for what, size in SIZES.items():
        pictures = [photograph(name, size) for name in PHOTOGRAPHS]
        calls = {name: over(decode, pictures) for name, decode in {"ours": ours, **found}.items()}
        times = alternate_for(calls, seconds, time.process_time)
        mine, *_ = each = [[1000 * s / len(pictures) for s in times[name]] for name in calls]
        for (name, decode), theirs in zip(found.items(), each[1:], strict=True):
            yield Figure(
                f"decode {what}",
                "ms",
                median(mine),
                None,
                name,
                median(theirs),
                ratios(mine, theirs),
            )
            far = max(distance(ours(content), decode(content)) for content in pictures)
            yield Figure("    pixels differ by, of 255", "", far, None)


def decoders() -> Mapping[str, Decoder]:
    """The peers, each from a JPEG's bytes to its picture."""
    peers = {
        "simplejpeg": ("simplejpeg", simplejpeg),
        "OpenCV": ("cv2", opencv),
        "libvips": ("pyvips", libvips),
    }
    installed = {name: decode for name, (module, decode) in peers.items() if find_spec(module)}
    return {"Pillow, convert": convert, "Pillow, draft": draft, **installed}


def ours(content: bytes) -> Image:
    from archspec.images import read_image
    from archspec.ir.document import Preprocess

    return read_image(content, Preprocess())


def convert(content: bytes) -> Image:
    """As most programs read a picture."""
    from PIL import Image

    with Image.open(BytesIO(content)) as image:
        return image.convert("RGB")


def draft(content: bytes) -> Image:
    """At a half, a quarter or an eighth, as JPEG can, where that is no smaller than what training scales down to."""
    from PIL import Image

    with Image.open(BytesIO(content)) as image:
        image.draft("RGB", SMALL)
        image.load()
        return image


def simplejpeg(content: bytes) -> Image:
    import simplejpeg as library  # pyright: ignore[reportMissingImports]
    from PIL import Image

    return Image.fromarray(library.decode_jpeg(content))


def opencv(content: bytes) -> Image:
    import cv2 as library  # pyright: ignore[reportMissingImports]
    from PIL import Image

    pixels = library.imdecode(np.frombuffer(content, np.uint8), 1)
    return Image.fromarray(library.cvtColor(pixels, library.COLOR_BGR2RGB))


def libvips(content: bytes) -> Image:
    import pyvips as library  # pyright: ignore[reportMissingImports]
    from PIL import Image

    return Image.fromarray(library.Image.new_from_buffer(content, "", access="sequential").numpy())


def photograph(name: str, size: tuple[int, int]) -> bytes:
    """One of scikit-image's, as a JPEG of that size."""
    import skimage.data
    from PIL import Image

    written, pixels = BytesIO(), getattr(skimage.data, name)()
    Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS).save(written, "JPEG", quality=90)
    return written.getvalue()


def over(decode: Decoder, pictures: Sequence[bytes]) -> Callable[[], object]:
    return lambda: [decode(content) for content in pictures]


def distance(one: Image, other: Image) -> int:
    """The largest distance of two pictures as training sees them: scaled down to one size.

    >>> from PIL import Image
    >>> distance(Image.new("RGB", (800, 600)), Image.new("RGB", (400, 300), (0, 0, 2)))
    2
    """
    small = [np.asarray(image.resize(SMALL, 2), int) for image in (one, other)]
    return int(np.abs(small[0] - small[1]).max())
