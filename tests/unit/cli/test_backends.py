"""`archspec backends` and `archspec ops --support`: what is there, what is missing, and what is broken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from archspec.backend import Backend, Engine, Gap, find, registry
from archspec.cli import main
from archspec.ops import OPS
from tests.helpers.architecture import FRAMEWORKS

Captured = pytest.CaptureFixture[str]
Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Install]:
    """Makes these the installed entry points: a Backend value, or the text of a module."""
    monkeypatch.syspath_prepend(tmp_path)

    def installed(**given: Backend | str) -> None:
        entries: list[EntryPoint] = []
        for name, what in given.items():
            module = f"installed_{name}_{tmp_path.name}".replace("-", "_")
            if isinstance(what, str):
                (tmp_path / f"{module}.py").write_text(what)
            else:
                (tmp_path / f"{module}.py").write_text("BACKEND = None\n")
                __import__(module)
                monkeypatch.setattr(f"{module}.BACKEND", what)
            entries.append(EntryPoint(name, f"{module}:BACKEND", registry.ENTRY_POINT_GROUP))
        monkeypatch.setattr(registry, "entry_points", lambda group: entries)
        registry.available.cache_clear()

    yield installed
    monkeypatch.undo()
    registry.available.cache_clear()


def listed(capsys: Captured) -> list[dict[str, Any]]:
    assert main(["backends", "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_json_says_what_the_backends_and_the_packages_say(capsys: Captured) -> None:
    found = {entry["name"]: entry for entry in listed(capsys)}
    assert {"torch", "keras", "onnx"} <= found.keys()
    for name in ("torch", "keras", "onnx"):
        backend, entry = find(name), found[name]
        assert entry["error"] is None
        assert entry["framework"] == {
            "package": name,
            "version": metadata.version(name),
            "install": None,
        }
        assert [engine["name"] for engine in entry["engines"]] == list(backend.engines)
        assert [engine["usual"] for engine in entry["engines"]] == [
            i == 0 for i in range(len(backend.engines))
        ]
        assert (entry["modes"], entry["precisions"]) == ([*backend.modes], [*backend.precisions])
        assert {*entry["ops"], *entry["gaps"]} == set(OPS)


def test_the_version_of_a_package_that_its_distribution_does_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install: Install, capsys: Captured
) -> None:
    """As TensorFlow's comes with `tensorflow-cpu` too."""
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "__init__.py").write_text("raise ImportError('it was imported')\n")
    facts = tmp_path / "machine_small-1.5.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: machine-small\nVersion: 1.5\n")
    (facts / "top_level.txt").write_text("machine\n")
    install(mine=replace(find("torch"), framework="machine"))
    (mine,) = listed(capsys)
    assert mine["framework"] == {"package": "machine", "version": "1.5", "install": None}


def test_the_table_has_a_line_for_each_engine(capsys: Captured) -> None:
    assert main(["backends"]) == 0
    rows = [
        line
        for line in capsys.readouterr().out.splitlines()
        if re.search(r"tensorflow|jax|onnxruntime", line)
    ]
    assert [(bool(row[0].strip()), "(usual)" in row) for row in rows] == [
        (True, True),
        (False, False),
        (True, True),
    ]


def test_nothing_of_a_framework_is_imported() -> None:
    code = (
        "import sys; from archspec.cli import main; main(['backends']); main(['ops', '--support']);"
        f"print({sorted(FRAMEWORKS | {'numpy'})!r} and sorted({{m.partition('.')[0] for m in sys.modules}} & {set(FRAMEWORKS) | {'numpy'}!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_is_missing_is_named_with_what_installs_it(install: Install, capsys: Captured) -> None:
    engines = {"one": Engine("torch"), "two": Engine("no_such_engine")}
    install(
        here=replace(find("torch"), name="here", engines=engines),
        away=replace(find("torch"), name="away", framework="no_such_framework", extra="away"),
    )
    assert main(["backends"]) == 0
    captured = capsys.readouterr()
    assert "no_such_framework is missing" in captured.out
    assert "note: away lacks no_such_framework: pip install 'archspec-nn[away]'\n" in captured.err
    assert (
        "note: here lacks no_such_engine: pip install 'archspec-nn[torch]' no_such_engine\n"
        in captured.err
    )
    away, here = listed(capsys)
    assert away["framework"]["version"] is None
    assert [engine["version"] is None for engine in here["engines"]] == [False, True]
    assert main(["backends", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise OSError('libmine.so is not there')", "libmine.so is not there"),
        ("import sys; sys.exit(5)", "cannot be imported: 5"),
        ("BACKEND = 'words'", "is a str, not a Backend value"),
        ("import no_such_thing", "no_such_thing"),
    ],
    ids=["raises", "exits", "another value", "lacks a module"],
)
def test_a_broken_backend_leaves_the_others_alone(
    install: Install, capsys: Captured, text: str, said: str
) -> None:
    install(broken=text, torch=find("torch"))
    assert main(["backends"]) == 0
    captured = capsys.readouterr()
    assert re.search(r"^torch +torch \d", captured.out, re.MULTILINE)
    assert re.search(r"^broken +broken$", captured.out, re.MULTILINE)
    assert said in captured.err
    broken, torch = listed(capsys)
    assert said in broken["error"]
    assert torch["error"] is None


def test_a_value_that_cannot_be_read_is_broken_too(install: Install, capsys: Captured) -> None:
    install(odd=replace(find("torch"), gaps=None, lowered=()), torch=find("torch"))  # pyright: ignore[reportArgumentType]
    odd, torch = listed(capsys)
    assert "it is broken" in odd["error"]
    assert torch["error"] is None


@pytest.fixture
def partial(install: Install) -> None:
    """A backend that lists one gap, and another that it does not know of."""
    lowered = set(find("torch").lowered) - {"lrn", "crop"}
    gaps = {"lrn": Gap("P001", "its engine has none")}
    install(
        part=replace(find("torch"), name="part", lowered=lowered, gaps=gaps), torch=find("torch")
    )


@pytest.mark.usefixtures("partial")
def test_gaps_are_said_with_their_code_and_reason(capsys: Captured) -> None:
    assert main(["backends"]) == 0
    captured = capsys.readouterr()
    assert f"{len(OPS) - 2} of {len(OPS)}" in captured.out
    assert "note: part cannot build lrn: its engine has none (P001)\n" in captured.err
    assert "note: part cannot build crop: the backend does not know it\n" in captured.err
    part = listed(capsys)[0]
    assert part["gaps"] == {
        "lrn": {"code": "P001", "reason": "its engine has none"},
        "crop": {"code": "", "reason": "the backend does not know it"},
    }


@pytest.mark.usefixtures("partial")
def test_the_matrix_has_every_op_and_every_gap(capsys: Captured) -> None:
    assert main(["ops", "--support"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = {row.split()[0]: row.split()[1:] for row in lines[2 : 2 + len(OPS)]}
    assert list(cells) == list(OPS)
    wanted = {"lrn": ["P001", "yes"], "crop": ["no", "yes"]}
    assert cells == {kind: wanted.get(kind, ["yes", "yes"]) for kind in OPS}
    assert "lrn on part: its engine has none (P001)" in lines


@pytest.mark.usefixtures("partial")
def test_the_row_of_one_op(capsys: Captured) -> None:
    assert main(["ops", "lrn", "--support", "--format", "markdown"]) == 0
    *table, blank, reason = capsys.readouterr().out.splitlines()
    assert table == ["| op | part | torch |", "| :-- | :-- | :-- |", "| lrn | P001 | yes |"]
    assert (blank, reason) == ("", "lrn on part: its engine has none (P001)")


@pytest.mark.usefixtures("partial")
def test_the_page_lists_the_reasons(capsys: Captured) -> None:
    assert main(["ops", "--support", "--format", "markdown"]) == 0
    page = capsys.readouterr().out
    assert "- lrn on part: its engine has none (P001)\n" in page
    assert page.count("\n| ") > len(OPS)
