"""Build folders: whole or not at all, and nothing of a stranger's touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from archspec._files import folder_lock
from archspec.build_folder import MANIFEST, read_manifest, replace_folder
from archspec.diagnostics import Failure, UsageError
from archspec.weights.weight_source import WeightSource


def writer(files: dict[str, str]) -> Callable[[Path], None]:
    """Fills a staging folder the way a build does: the files, then a manifest with their hashes."""

    def fill(staging: Path) -> None:
        import hashlib

        for name, text in files.items():
            (staging / name).write_text(text)
        hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
        (staging / MANIFEST).write_text(json.dumps({"archspec": "0", "files": hashes}))

    return fill


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    folder = replace_folder(tmp_path / "deep" / "net", writer({"model.py": "one"}))
    assert (folder / "model.py").read_text() == "one"
    assert read_manifest(folder).archspec == "0"
    assert [p.name for p in folder.parent.iterdir()] == ["net"], "the staging folder is gone"


def test_a_build_is_replaced_and_its_stale_files_go(tmp_path: Path) -> None:
    folder = replace_folder(tmp_path / "net", writer({"model.py": "one", "old.txt": "x"}))
    replace_folder(folder, writer({"model.py": "two"}))
    assert (folder / "model.py").read_text() == "two"
    assert not (folder / "old.txt").exists()


def test_files_of_the_users_own_stay(tmp_path: Path) -> None:
    folder = replace_folder(tmp_path / "net", writer({"model.py": "one"}))
    (folder / "notes.txt").write_text("mine")
    replace_folder(folder, writer({"model.py": "two"}))
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_the_users_own_under_the_name_of_a_new_file_stays(
    tmp_path: Path, kind: str
) -> None:
    folder = replace_folder(tmp_path / "net", writer({"model.py": "one"}))
    mine = folder / "model.onnx"
    if kind == "file":
        mine.write_text("mine")
    elif kind == "folder":
        mine.mkdir()
    else:
        mine.symlink_to("nowhere")
    with pytest.raises(Failure, match=r"`model\.onnx` in .* is of no build"):
        replace_folder(folder, writer({"model.py": "two", "model.onnx": "new"}))
    assert (folder / "model.py").read_text() == "one"
    assert mine.is_symlink() or mine.is_dir() or mine.read_text() == "mine"


def test_a_strangers_folder_is_refused_and_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "model.py").write_text("years of work")
    before = snapshot(folder)
    with pytest.raises(Failure, match="holds something else than a build"):
        replace_folder(folder, writer({"model.py": "one"}))
    assert snapshot(folder) == before


def test_a_file_edited_since_the_build_is_not_overwritten(tmp_path: Path) -> None:
    folder = replace_folder(tmp_path / "net", writer({"model.py": "one"}))
    (folder / "model.py").write_text("edited by hand")
    with pytest.raises(Failure, match=r"`model\.py` in .* changed since the build"):
        replace_folder(folder, writer({"model.py": "two"}))
    assert (folder / "model.py").read_text() == "edited by hand"


def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_moves(tmp_path: Path) -> None:
    files: dict[str, str] = dict.fromkeys(("a.py", "model.py", "z.py"), "one")
    folder = replace_folder(tmp_path / "net", writer(files))
    (folder / "model.py").unlink()
    (folder / "model.py").mkdir()
    with pytest.raises(Failure, match=r"`model\.py` in .* changed since the build"):
        replace_folder(folder, writer(dict.fromkeys(files, "two")))
    assert (folder / "a.py").read_text() == (folder / "z.py").read_text() == "one"


def test_a_name_that_no_folder_can_have_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot write .*name too long"):
        replace_folder(tmp_path / ("x" * 300), writer({"model.py": "one"}))


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net"
    path.write_text("a file")
    with pytest.raises(Failure, match="no folder"):
        replace_folder(path, writer({"model.py": "one"}))
    assert path.read_text() == "a file"


@pytest.mark.parametrize("existing", [False, True])
def test_a_build_that_fails_half_way_leaves_all_as_it_was(tmp_path: Path, existing: bool) -> None:
    folder = tmp_path / "net"
    if existing:
        replace_folder(folder, writer({"model.py": "one"}))
    before = snapshot(folder) if existing else None

    def full_disk(staging: Path) -> None:
        (staging / "model.py").write_text("two")
        raise OSError(28, "No space left on device")

    with pytest.raises(Failure, match="no space left on device"):
        replace_folder(folder, full_disk)
    assert (snapshot(folder) if existing else None) == before
    assert folder.exists() == existing
    assert [p.name for p in tmp_path.iterdir()] == (["net"] if existing else [])


@pytest.mark.parametrize("times", [1, 2])
def test_a_notice_to_end_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    removed = shutil.rmtree

    def noticed(folder: Path, **options: Any) -> None:
        if times == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        removed(folder, **options)

    def fill(staging: Path) -> None:
        (staging / "half").write_text("1")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    monkeypatch.setattr(shutil, "rmtree", noticed)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(tmp_path / "net", fill)
    assert not [*tmp_path.iterdir()]
    assert signal.getsignal(signal.SIGTERM) == before


def test_who_handles_a_notice_to_end_keeps_it(tmp_path: Path) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        replace_folder(tmp_path / "net", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_a_thread_may_build_too(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        pool.submit(replace_folder, tmp_path / "net", writer({"model.py": "one"})).result()
    assert (tmp_path / "net" / "model.py").exists()


def test_all_is_on_the_disk_before_it_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[int] = set()

    def note(descriptor: int) -> None:
        assert not (tmp_path / "net").exists()
        flushed.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    replace_folder(tmp_path / "net", writer({"model.py": "one", "other": "two"}))
    assert {path.stat().st_ino for path in (tmp_path / "net").iterdir()} <= flushed


def test_a_read_only_place_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests may run as root, whom no mode bits stop. Parents that exist are made with exist_ok.
    def refuse(path: Path, *_: object, exist_ok: bool = False, **__: object) -> None:
        if not exist_ok:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(Failure, match="cannot write .*permission denied"):
        replace_folder(tmp_path / "net", writer({"model.py": "one"}))


def test_a_place_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="cannot write"):
        replace_folder(tmp_path / "file" / "net", writer({"model.py": "one"}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 1, "archspec": "0"}', "\x00"])
def test_what_is_no_manifest_is_no_build(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(Failure, match="holds no build"):
        read_manifest(tmp_path)


BUILD = """
import hashlib, json, sys
from pathlib import Path
from archspec.build_folder import MANIFEST, replace_folder

folder, own, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def fill(staging):
    files = {"model.py": own * 1000, "weights.safetensors": own * 50_000, f"only-{own}": own}
    for name, text in files.items():
        (staging / name).write_text(text)
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    (staging / MANIFEST).write_text(json.dumps({"archspec": own, "files": hashes}))


for _ in range(times):
    replace_folder(folder, fill)
"""


def whole(folder: Path) -> str:
    """Whose build a folder is; raises where it is not all of one."""
    owner = read_manifest(folder).archspec
    found = {path.name: path.read_text() for path in folder.iterdir() if path.name != MANIFEST}
    assert set(found) == {"model.py", "weights.safetensors", f"only-{owner}"}
    assert all(set(text) == {owner} for text in found.values())
    return owner


def test_builds_into_one_folder_at_once_are_put_in_place_one_after_the_other(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "net"
    builders = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, str(folder), own, "25"], stderr=subprocess.PIPE, text=True
        )
        for own in "abcd"
    ]
    seen: list[str] = []
    while any(builder.poll() is None for builder in builders):
        with folder_lock(tmp_path):
            if folder.exists():
                seen.append(whole(folder))
        time.sleep(0.002)  # the lock goes to whoever asks, and this one asks all the time
    assert [(builder.returncode, builder.communicate()[1]) for builder in builders] == [(0, "")] * 4
    whole(folder)
    assert len(set(seen)) > 1
    assert [path.name for path in tmp_path.iterdir()] == ["net"], (
        "no lock and no staging folder is left"
    )


def test_what_a_stranger_puts_there_meanwhile_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "net"

    def overtaken(staging: Path) -> None:
        writer({"model.py": "one"})(staging)
        folder.mkdir()
        (folder / "thesis").write_text("years of work")

    with pytest.raises(Failure, match="holds something else than a build"):
        replace_folder(folder, overtaken)
    assert snapshot(folder) == {"thesis": b"years of work"}
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_the_current_folder_may_be_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    replace_folder(Path(), writer({"a.txt": "one"}))
    replace_folder(Path(), writer({"a.txt": "two"}))
    assert Path("a.txt").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_a_seed_that_no_manifest_can_hold_is_refused_before_anything_is_written() -> None:
    with pytest.raises(UsageError, match="a seed lies between"):
        WeightSource(seed=2**63)
