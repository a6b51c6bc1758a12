"""The room that reading a file has: what a file states is bounded, and what it holds in spite of that too."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import pytest

from archspec.backend import MemoryBudget, TooLarge


def packed(folder: Path, content: bytes, how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(folder / "w.zip", "w", how) as archive:
        archive.writestr("content", content)
    return folder / "w.zip"


def stating(path: Path, true: int, stated: int) -> Path:
    """The archive with another size stated for its content, in both places that state it."""
    data, old = path.read_bytes(), true.to_bytes(4, "little")
    assert data.count(old) == 2
    path.write_bytes(data.replace(old, stated.to_bytes(4, "little")))
    return path


def unzip(path: Path, room: MemoryBudget) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return room.unzip(archive, "content")


def test_it_is_used_up_and_grows_with_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10))
    room = MemoryBudget(tmp_path / "a", extra=5)
    room.add_file(tmp_path / "a")
    room.charge(2**26 + 4 * 10 + 3, "the first")
    room.charge(2, "the second")
    with pytest.raises(TooLarge, match="`the third` takes 1 bytes, where 0 are left"):
        room.charge(1, "the third")


def test_what_fits_is_unpacked(tmp_path: Path) -> None:
    room = MemoryBudget()
    assert unzip(packed(tmp_path, b"hello" * 99), room) == b"hello" * 99
    assert room.remaining == MemoryBudget().remaining - 5 * 99


def test_what_is_stated_to_be_too_large_is_not_unpacked(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="`content` takes 67,108,865 bytes"):
        unzip(packed(tmp_path, bytes(2**26 + 1)), MemoryBudget())


@pytest.mark.parametrize(("size", "stated"), [(2**25 + 1, 999), (999, 2**25 + 1)])
def test_a_size_that_is_a_lie_is_found_out_in_little_memory(
    tmp_path: Path, size: int, stated: int
) -> None:
    path = stating(packed(tmp_path, bytes(size)), size, stated)
    room = MemoryBudget()
    tracemalloc.start()
    try:
        if stated < size:
            with pytest.raises(zipfile.BadZipFile):
                unzip(path, room)
        else:
            assert unzip(path, room) == bytes(size), "less than was stated"
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_without_a_bound_is_refused(tmp_path: Path, how: int) -> None:
    with pytest.raises(ValueError, match="`content` is packed in an unusual way"):
        unzip(packed(tmp_path, b"hello", how), MemoryBudget())
