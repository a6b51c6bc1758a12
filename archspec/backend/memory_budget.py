"""The memory that reading a file may take: a file can state any size, and unpack to any."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from archspec.diagnostics import quote


class TooLarge(ValueError):
    """What a file holds takes more memory than it may."""


class MemoryBudget:
    """How much memory what is read from files may take: a file can state any size, and unpack to any.

    It is four times the size of the files themselves, as half precision becomes single and what is unpacked is copied,
    with something for small ones, and `more`.
    """

    def __init__(self, *files: Path, more: int = 0) -> None:
        self.left = 2**26 + more
        self.files: set[Path] = set()
        for file in files:
            self.add_file(file)

    def add_file(self, file: Path) -> None:
        """Gives room for what lies in a file, once."""
        if file not in self.files:
            self.files.add(file)
            self.left += 4 * file.stat().st_size

    def charge(self, size: int, what: str) -> None:
        """Uses some of it up; raises `TooLarge`, saying for what, where no more is left."""
        if size > self.left:
            raise TooLarge(f"{quote(what)} takes {size:,} bytes, where {self.left:,} are left")
        self.left -= size

    def unzip(self, archive: ZipFile, name: str) -> bytes:
        """A file of an archive; raises `TooLarge`, and ValueError where it is packed as no framework packs."""
        info = archive.getinfo(name)
        if info.compress_type not in (
            ZIP_STORED,
            ZIP_DEFLATED,
        ):  # others are unpacked by the block, of whatever size
            raise ValueError(f"{quote(name)} is packed in an unusual way")
        self.charge(info.file_size, name)
        with archive.open(info) as file:
            return file.read(info.file_size)  # no more than is stated, whatever there is
