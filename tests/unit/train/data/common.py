"""Small sources and what prepares them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from archspec.ir.document import Preprocess
from archspec.train.data import InputTransform
from archspec.train.data.source import ArraySource

PLAIN = InputTransform((1,), Preprocess())
"""For values: gives them back."""


def numbered(count: int) -> ArraySource:
    """Each sample is its own number, and so is its label."""
    return ArraySource(np.arange(count, dtype=np.float32)[:, None], np.arange(count), "x")


def image_file(path: Path, seed: int = 0, size: tuple[int, int] = (12, 10)) -> Path:
    """A file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path
