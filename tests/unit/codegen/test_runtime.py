"""A built folder's `model.py` as a module of its own."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from archspec.codegen.runtime import import_model

TEXT = "class Net:\n    width = {}\n"


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "model.py").write_text(text)
    return path


def test_two_builds_live_side_by_side_and_are_found_again(tmp_path: Path) -> None:
    one, two = (import_model(folder(tmp_path / str(width), TEXT.format(width))) for width in (1, 2))
    assert (one.Net.width, two.Net.width) == (1, 2)
    assert pickle.loads(pickle.dumps(two.Net)) is two.Net
    assert pickle.loads(pickle.dumps(one.Net)) is one.Net


def test_a_module_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    known = set(sys.modules)
    with pytest.raises(ZeroDivisionError):
        import_model(folder(tmp_path / "broken", "1 / 0\n"))
    assert set(sys.modules) == known
