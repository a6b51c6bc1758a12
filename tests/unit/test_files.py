"""Atomic writes and locks: whole or nothing, flushed, with the mode of the umask, and nothing left over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archspec._files import (
    atomic_file,
    folder_lock,
    move_files,
    read_bytes,
    staging_folder,
    write_bytes,
    write_text,
)
from tests.helpers.time_limit import time_limit


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "one")
    write_bytes(path, b"two")
    assert content(tmp_path) == {"a.txt": b"two"}


def test_a_failure_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")

    def fail_half_way() -> None:
        with atomic_file(path) as file:
            file.write(b"tw")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert content(tmp_path) == {"a.txt": b"one"}


def test_a_file_is_on_the_disk_before_it_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "a.txt", list[int]()

    def note(descriptor: int) -> None:
        assert not path.exists()
        flushed.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    write_text(path, "one")
    assert flushed == [path.stat().st_ino]


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_modes_are_those_of_the_umask(tmp_path: Path, mask: int, file: int, folder: int) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "one")
        with staging_folder(tmp_path / "net") as staging:
            assert staging.stat().st_mode & 0o777 == folder
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == file


def test_names_that_utf_8_lacks_are_escaped_where_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "\udcff")
    assert content(tmp_path) == {}
    write_text(tmp_path / "a.txt", "\udcff", errors="backslashreplace")
    assert content(tmp_path) == {"a.txt": rb"\udcff"}


@pytest.mark.parametrize("name", ["x" * 255, "\U0001f600" * 60])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "one")
    assert content(tmp_path) == {name: b"one"}


def test_the_last_file_is_moved_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    replace = Path.replace

    def note(self: Path, target: Path) -> Path:
        moved.append(target.name)
        return replace(self, target)

    with staging_folder(tmp_path / "b") as staging:
        for name in ("c", "a", "b"):
            (staging / name).write_text(name)
        monkeypatch.setattr(Path, "replace", note)
        move_files(staging, tmp_path, last="b")
    assert sorted(moved) == ["a", "b", "c"]
    assert moved[-1] == "b"
    assert content(tmp_path) == {"a": b"a", "b": b"b", "c": b"c"}


def test_a_staged_folder_goes_with_what_is_in_it(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with staging_folder(tmp_path / "net") as staging:
            (staging / "half").write_text("1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert content(tmp_path) == {}


@pytest.mark.parametrize(
    ("kind", "message"),
    [("pipe", "it is a pipe"), ("device", "it is a device"), ("directory", "it is a directory")],
)
def test_what_is_no_file_is_neither_read_nor_written_over(
    tmp_path: Path, kind: str, message: str
) -> None:
    path = tmp_path / "it"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/null")
    else:
        path.mkdir()
    with time_limit(5), pytest.raises(OSError, match=message):
        read_bytes(path)
    with pytest.raises(OSError, match=message):
        write_text(path, "one")
    assert [found.name for found in tmp_path.iterdir()] == ["it"]
    assert not path.is_file()


def test_as_much_of_a_file_is_read_as_is_asked_for(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one")
    assert read_bytes(tmp_path / "a.txt") == b"one"
    assert read_bytes(tmp_path / "a.txt", 2) == b"on"


HOLD = """
import sys
from pathlib import Path
from archspec._files import folder_lock

with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_lock_is_held_by_one_process_and_ends_with_it(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError), folder_lock(tmp_path, wait=False):
        pass
    holder.kill()
    holder.communicate()
    with folder_lock(tmp_path, wait=False):
        pass
    assert content(tmp_path) == {}


STAGE = """
import sys
from pathlib import Path
from archspec._files import staging_folder

with staging_folder(Path(sys.argv[1])) as staging:
    (staging / "half").write_text("1")
    print(staging, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_what_a_killed_process_staged_is_removed_by_the_next(tmp_path: Path) -> None:
    destination = tmp_path / "net[1]"
    user = tmp_path / ".net[1].notes"
    user.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", STAGE, str(destination)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    staged = Path(holder.stdout.readline().strip())
    notes: list[str] = []
    with staging_folder(destination, notes.append):
        assert staged.exists(), "it is still written to"
    holder.kill()
    holder.communicate()
    with staging_folder(destination.with_name("other"), notes.append):
        assert staged.exists(), "it is of something else"
    assert notes == []
    with staging_folder(destination, notes.append):
        assert not staged.exists()
    assert [note.startswith("note: removed `") for note in notes] == [True]
    assert list(tmp_path.iterdir()) == [user]
