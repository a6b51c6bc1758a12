"""A bound on the memory that reading a file may take.

A file can claim any size, and a small archive can unpack to any size. Readers charge what they are
about to allocate, and stop before they allocate more than an honest file could need.

>>> budget = MemoryBudget()
>>> budget.charge(2**20, "conv.weight")
>>> budget.charge(2**40, "conv.weight")  # doctest: +ELLIPSIS
Traceback (most recent call last):
archspec.backend.memory_budget.TooLarge: `conv.weight` takes 1,099,511,627,776 bytes, ...
"""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from archspec.diagnostics import quote

BASE_BYTES = 2**26
"""The budget of a file however small."""
BYTES_PER_BYTE = 4
"""The budget for each byte of a file: half precision becomes single, and unpacking copies."""


class TooLarge(ValueError):
    """Raised for a file whose content takes more memory than its budget."""


class MemoryBudget:
    """The bytes that reading `files` may still allocate.

    Args:
        files: The files to be read; the budget is four times their size and 64 MiB.
        extra: Bytes on top, for a reader that knows how much the content needs.
    """

    def __init__(self, *files: Path, extra: int = 0) -> None:
        self.remaining = BASE_BYTES + extra
        self.files: set[Path] = set()
        for file in files:
            self.add_file(file)

    def add_file(self, file: Path) -> None:
        """Add the budget of another file; a file that was added before adds nothing."""
        if file not in self.files:
            self.files.add(file)
            self.remaining += BYTES_PER_BYTE * file.stat().st_size

    def charge(self, size: int, what: str) -> None:
        """Take `size` bytes for `what`; raise `TooLarge` if fewer remain."""
        if size > self.remaining:
            raise TooLarge(f"{quote(what)} takes {size:,} bytes, where {self.remaining:,} are left")
        self.remaining -= size

    def unzip(self, archive: ZipFile, name: str) -> bytes:
        """Return a member of an archive, charged at its stated size.

        Raise `TooLarge`, or ValueError for a compression that no framework uses.
        """
        info = archive.getinfo(name)
        # Other methods unpack whole blocks, of a size that nothing bounds.
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"{quote(name)} is packed in an unusual way")
        self.charge(info.file_size, name)
        with archive.open(info) as file:
            return file.read(info.file_size)  # never more than was charged
