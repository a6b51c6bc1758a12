"""Helpers that a package carries for emitted files: their sources, and those that others need."""

from __future__ import annotations

import ast
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archspec.codegen.packaged import (
    helper_sources,
    join_blocks,
    needed_helpers,
    referenced_names,
)

HELPERS = '''"""Functions that a file may use."""

from __future__ import annotations

import numpy as np

Array = np.ndarray
Pads = tuple[int, int]


def border(x: Array, pads: Pads) -> Array:
    """Pad as conv2d does."""
    return np.pad(x, pads)  # pyright: ignore[reportUnknownMemberType]


# Kept apart for its own sake.
def conv2d(x: Array, weight: Array) -> Array:
    unfold = border(x, (1, 1))
    return unfold @ weight


@np.vectorize
def unfold(x: float) -> float:
    return x


class Layer2d:
    """Calls unfold."""

    pads: Pads = (0, 0)

    def call(self, x: Array) -> Array:
        return conv2d(x, self.weight.unfold)


class Block2d(Layer2d):
    pass


def even(n: int) -> bool:
    return n == 0 or odd(n - 1)


def odd(n: int) -> bool:
    return n != 0 and even(n - 1)
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "package_with_helpers"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "helpers.py").write_text(HELPERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_functions_classes_and_constants_are_helpers(package: str) -> None:
    sources = helper_sources(package)
    assert list(sources) == [
        "Array", "Pads", "border", "conv2d", "unfold", "Layer2d", "Block2d", "even", "odd",
    ]  # fmt: skip
    assert sources["Pads"] == "Pads = tuple[int, int]"
    assert sources["unfold"].startswith("@np.vectorize\ndef unfold(")
    assert sources["conv2d"].startswith("# Kept apart")
    assert "pyright" not in sources["border"]


def test_a_rank_in_a_name_stands_for_every_rank(package: str) -> None:
    sources = helper_sources(package, "2d")
    assert {"Layer1d", "Layer2d", "Layer3d", "conv1d", "conv3d", "border"} <= sources.keys()
    assert "class Block3d(Layer3d):" in sources["Block3d"]
    assert needed_helpers(sources, ["Block3d"])[-3:] == ["conv3d", "Layer3d", "Block3d"]


def test_helpers_bring_those_that_they_use_first(package: str) -> None:
    sources = helper_sources(package)
    assert needed_helpers(sources, ["Block2d"]) == [
        "Array", "Pads", "border", "conv2d", "Layer2d", "Block2d",
    ]  # fmt: skip
    assert needed_helpers(sources, ["unfold"]) == ["unfold"]


def test_helpers_that_call_each_other_are_both_there_once(package: str) -> None:
    assert needed_helpers(helper_sources(package), ["odd", "even"]) == ["odd", "even"]


def test_only_a_helper_can_be_used(package: str) -> None:
    with pytest.raises(KeyError, match="missing"):
        needed_helpers(helper_sources(package), ["missing"])


def test_a_word_that_is_not_a_reference_brings_nothing() -> None:
    source = 'def f(x: Array) -> "Other":\n    conv = x.border  # unfold\n    return conv("even")'
    assert referenced_names(source) == {"Array"}


def test_what_is_emitted_runs(package: str) -> None:
    sources = helper_sources(package)
    names = needed_helpers(sources, ["conv2d"])
    text = join_blocks(["import numpy as np", *(sources[name] for name in names)])
    assert text.startswith(
        "import numpy as np\nArray = np.ndarray\nPads = tuple[int, int]\n\n\ndef"
    )
    module: dict[str, object] = {}
    exec(compile(text, "emitted", "exec"), module)
    assert callable(module["conv2d"])


def test_no_two_threads_parse_at_once(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython 3.11 raises SystemError where two do; `verify` emits for its targets in threads."""
    parse = ast.parse
    parsing: list[int] = []
    most: list[int] = []

    def slowly(text: str) -> ast.Module:
        parsing.append(1)
        most.append(len(parsing))
        time.sleep(0.02)
        parsing.pop()
        return parse(text)

    monkeypatch.setattr("archspec.codegen.parsing.ast.parse", slowly)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(helper_sources, [package] * 4))
    assert most == [1] * 4
