"""Recognize `.keras` files by their content, without importing Keras."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def is_keras_archive(file: BinaryIO) -> bool:
    """Return whether a file is a zip with a `.keras` file's members."""
    try:
        with zipfile.ZipFile(file) as archive:
            return {CONFIG, WEIGHTS} <= set(archive.namelist())
    except Exception:  # damaged archives raise errors of many types
        return False
