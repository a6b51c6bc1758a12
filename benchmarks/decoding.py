"""JPEG decoding with Pillow, as in training and `archspec run`, against other decoders.

Install the peers with `pip install simplejpeg opencv-python-headless pyvips[binary]`; missing ones
are skipped. Every decoder returns a Pillow image, the input of scaling and augmentation. A ratio
below 1 means that ours takes less CPU time. The line below it is the largest difference between a
peer's pixels and ours after both are scaled down.
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
TRAIN_SIZE = (341, 256)

Decoder = Callable[[bytes], "Image"]


def figures(seconds: float = SECONDS) -> Iterator[Figure]:
    peers = decoders()
    for size_name, size in SIZES.items():
        images = [photograph(name, size) for name in PHOTOGRAPHS]
        calls = {
            name: decode_all(decode, images) for name, decode in {"ours": ours, **peers}.items()
        }
        times = alternate_for(calls, seconds, time.process_time)
        per_image = {name: [1000 * s / len(images) for s in times[name]] for name in calls}
        mine = per_image["ours"]
        for name, decode in peers.items():
            theirs = per_image[name]
            yield Figure(
                f"decode {size_name}",
                "ms",
                median(mine),
                None,
                name,
                median(theirs),
                ratios(mine, theirs),
            )
            difference = max(distance(ours(content), decode(content)) for content in images)
            yield Figure("    pixels differ by, of 255", "", difference, None)


def decoders() -> Mapping[str, Decoder]:
    """Return the installed peers by name; each decodes the bytes of a JPEG."""
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
    """Decode at full size and convert to RGB, as most programs do."""
    from PIL import Image

    with Image.open(BytesIO(content)) as image:
        return image.convert("RGB")


def draft(content: bytes) -> Image:
    """Decode at 1/2, 1/4 or 1/8 of the size, which JPEG supports.

    Never go below `TRAIN_SIZE`, the size that training scales down to.
    """
    from PIL import Image

    with Image.open(BytesIO(content)) as image:
        image.draft("RGB", TRAIN_SIZE)
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
    """Return an image of scikit-image as a JPEG of the given size."""
    import skimage.data
    from PIL import Image

    resized = Image.fromarray(getattr(skimage.data, name)()).resize(size, Image.Resampling.LANCZOS)
    buffer = BytesIO()
    resized.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def decode_all(decode: Decoder, images: Sequence[bytes]) -> Callable[[], object]:
    return lambda: [decode(content) for content in images]


def distance(one: Image, other: Image) -> int:
    """Return the largest pixel difference of two images, both scaled to the size for training.

    >>> from PIL import Image
    >>> distance(Image.new("RGB", (800, 600)), Image.new("RGB", (400, 300), (0, 0, 2)))
    2
    """
    small = [np.asarray(image.resize(TRAIN_SIZE, 2), int) for image in (one, other)]
    return int(np.abs(small[0] - small[1]).max())
