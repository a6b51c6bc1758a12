"""A manifest is a file that anyone may have written: a rebuild deletes by its names, and only inside the folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from archspec.build_folder import MANIFEST, read_manifest, replace_folder
from archspec.diagnostics import Failure


@pytest.mark.parametrize("name", ["../notes.txt", "inner/../../notes.txt", "..", ".", "/tmp/x"])
def test_a_manifest_that_leads_out_of_its_folder_is_not_a_build(tmp_path: Path, name: str) -> None:
    notes, folder = tmp_path / "notes.txt", tmp_path / "net"
    notes.write_text("mine")
    folder.mkdir()
    digest = hashlib.sha256(b"mine").hexdigest()
    (folder / MANIFEST).write_text(json.dumps({"archspec": "0", "files": {name: digest}}))
    with pytest.raises(Failure):
        read_manifest(folder)
    with pytest.raises(Failure):
        replace_folder(folder, lambda staging: None)
    assert notes.read_text() == "mine"
