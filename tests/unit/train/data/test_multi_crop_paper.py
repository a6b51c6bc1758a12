"""The 144 crops of the GoogLeNet paper, section 7: which rectangles of an image they are, read off the crops themselves.

"We resized the image to 4 scales where the shorter dimension is 256, 288, 320 and 352 respectively, take the left,
center and right square of these resized images (in the case of portrait images, we take the top, center and bottom
squares). For each square, we then take the 4 corners and the center 224x224 crop as well as the square resized to
224x224, and their mirrored versions. This results in 4x3x6x2 = 144 crops per image."
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.optimize import linear_sum_assignment

from archspec.train.data.multi_crop import crops


def papers(width: int, height: int) -> list[tuple[float, float, float, float]]:
    """By the paper's words: left, right, top and bottom in pixels of the image; of a mirrored crop, left is right."""
    shorter, longer = min(width, height), max(width, height)
    found: list[tuple[float, float, float, float]] = []
    for scale, where, kind, mirrored in product(
        (256, 288, 320, 352), (0, 0.5, 1), range(6), (False, True)
    ):
        side = shorter if kind == 5 else 224 * shorter / scale  # of the crop
        free = shorter - side
        x, y = [(0, 0), (free, 0), (0, free), (free, free), (free / 2, free / 2), (0, 0)][kind]
        along = where * (longer - shorter)
        x, y = (x + along, y) if width > height else (x, y + along)
        across = (x + side, x) if mirrored else (x, x + side)
        found.append((*across, y, y + side))
    return found


def read(view: Image.Image, width: int, height: int) -> tuple[float, float, float, float]:
    """The same, from a crop of a image whose red grows from left to right, and whose green from top to bottom."""
    pixels = np.asarray(view, float)
    ends: list[float] = []
    for values, length in ((pixels[..., 0].mean(0), width), (pixels[..., 1].mean(1), height)):
        rise, start = np.polyfit(np.arange(len(values)) + 0.5, values, 1)
        ends += [start * length / 255, (start + rise * len(values)) * length / 255]
    return ends[0], ends[1], ends[2], ends[3]


def apart(found: Any, expected: Any) -> float:
    """The largest distance in pixels where each is paired with one of the other."""
    distances = np.abs(np.asarray(found)[:, None] - np.asarray(expected)).max(-1)
    return float(distances[linear_sum_assignment(distances)].max())


@pytest.mark.parametrize(("width", "height"), [(512, 384), (384, 600), (400, 400)])
def test_they_are_those_of_the_paper(width: int, height: int) -> None:
    x, y = np.meshgrid(
        (np.arange(width) + 0.5) * 255 / width, (np.arange(height) + 0.5) * 255 / height
    )
    image = Image.fromarray(np.stack([x, y, 0 * x], axis=-1).round().astype(np.uint8))
    found = [read(view, width, height) for view in crops(image, 224, 144)]
    expected = papers(width, height)
    assert len(found) == len(expected) == 4 * 3 * 6 * 2
    assert apart(found, expected) < 2
    # What the helpers say of wrong crops.
    assert apart(found[:-1] + found[:1], expected) > 20
    assert apart(found, papers(height, width)) > 20 or width == height
