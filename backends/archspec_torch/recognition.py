"""Recognize torch's files by their content, without importing torch."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

PICKLE_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of a file that torch wrote before it wrote archives."""


def is_torch_file(file: BinaryIO) -> bool:
    """Return whether `torch.save` wrote a file, whatever its suffix."""
    try:
        if file.read(len(PICKLE_MAGIC)) == PICKLE_MAGIC:
            return True
        with zipfile.ZipFile(file) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except Exception:  # damaged archives raise errors of many types
        return False
