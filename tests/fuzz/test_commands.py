"""The command line, fuzzed: any input ends with a documented exit code and a message."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archspec.cli import COMMANDS, main
from archspec.frontend.files import shipped_folder
from tests.helpers import damage
from tests.helpers.effort import examples
from tests.helpers.specs import written

SHIPPED = {path.stem: path.read_text() for path in sorted(shipped_folder().glob("*.yaml"))}
SPECS = st.sampled_from(list(SHIPPED.values()))


@pytest.fixture(autouse=True, scope="module")
def _elsewhere() -> Iterator[None]:
    """Run in a temporary folder, for what a command writes by accident."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


def ended(*arguments: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of a command, which are those of an orderly end."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse ends so, on wrong usage and on --help
            assert end.code in (0, 2)
            code = int(end.code)
    said = err.getvalue()
    assert code in (0, 1, 2, 3), said
    assert "Traceback" not in said
    assert "fault of archspec itself" not in said
    if code:
        assert said.strip() or out.getvalue().strip()
    return code, out.getvalue(), said


ONE = [
    ["check"],
    ["check", "--format", "json"],
    ["check", "--format", "github"],
    ["check", "--quiet"],
    *(["stats", "--format", name] for name in ("table", "json", "csv", "markdown")),
    *(["stats", "--by", name, "--train"] for name in ("block", "row")),
    ["stats", "--claims"],
    *(
        ["stats", "--as", name, "--batch", "3"]
        for name in ("torchinfo", "fvcore", "paper", "keras", "ptflops")
    ),
    ["show"],
    ["show", "--graph"],
]
"""Commands that read one spec."""

wrong = st.one_of(damage.damaged(SPECS), damage.data(), st.binary(max_size=80))


@examples(250)
@given(wrong, st.sampled_from(ONE))
def test_commands_on_specs_that_are_wrong(content: str | bytes, command: list[str]) -> None:
    with written(content) as path:
        code, out, err = ended(
            command[0], str(path), "--include", str(shipped_folder()), *command[1:]
        )
    assert code in (0, 1)
    if "json" in command:
        assert isinstance(json.loads(out), dict if command[0] == "stats" and code == 0 else list)
    elif code == 1:
        assert "error" in out + err


@examples(60)
@given(wrong)
def test_a_build_writes_all_or_nothing(content: str | bytes) -> None:
    with written(content) as path:
        folder = path.parent / "built"
        arguments = (
            "build",
            str(path),
            "--include",
            str(shipped_folder()),
            "--backend",
            "torch",
            "-o",
            str(folder),
        )
        code, _, _ = ended(*arguments)
        beside = {other.name for other in path.parent.iterdir()} - {path.name}
        assert beside == ({"built"} if code == 0 else set())
        if code == 0:
            assert {file.name for file in folder.iterdir()} == {
                "model.py",
                "weights.safetensors",
                "manifest.json",
            }


SEGMENTS = [
    *"conv1 inception_4a inception args blocks heads network claims init body classes dropout main name out".split()
]
_segments = st.one_of(
    st.sampled_from([*SEGMENTS, "0", "conv", "#3x3", '"#3x3"', "patch/stride", "''"]),
    st.text(max_size=5),
)
_addresses = st.lists(_segments, max_size=4).map(".".join)
_values = st.one_of(
    st.sampled_from([*damage.NUMBERS, *damage.SYNTAX, *damage.EXPRESSIONS, *damage.NAMES]),
    st.text(max_size=10),
)
_sets = st.one_of(st.tuples(_addresses, _values).map("=".join), st.text(max_size=12))


@examples(150)
@given(st.sampled_from(list(SHIPPED)), st.lists(_sets, min_size=1, max_size=2))
def test_overrides(name: str, sets: list[str]) -> None:
    code, _, err = ended(
        "check",
        str(shipped_folder() / f"{name}.yaml"),
        *(part for text in sets for part in (f"--set={text}",)),
    )
    assert code in (0, 1)
    assert code == 0 or "error[" in err


_edits = st.dictionaries(
    st.sampled_from(["set", "insert_before", "insert_after", "replace", "remove", "edit"]),
    st.one_of(
        st.dictionaries(_addresses, damage.trees, max_size=2),
        _addresses,
        st.lists(_addresses, max_size=2),
        damage.trees,
    ),
    max_size=2,
)


@examples(150)
@given(
    st.sampled_from(list(SHIPPED)),
    st.lists(_edits, max_size=3),
    st.dictionaries(st.sampled_from(damage.WORDS), damage.trees, max_size=2),
)
def test_variants(base: str, edits: list[object], more: dict[str, object]) -> None:
    text = json.dumps({**more, "extends": f"{base}.yaml", "edit": edits})
    with written(text) as path:
        shutil.copytree(shipped_folder(), path.parent, dirs_exist_ok=True)
        assert ended("check", str(path))[0] in (0, 1)
        assert ended("show", str(path))[0] in (0, 1)


OPTIONS = [
    *COMMANDS,
    *"--set --include --quiet --format --by --train --batch --claims --as --backend -o --weights --seed --optimize".split(),
    *"--top --labels --graph --help --version json text table csv markdown github block torch keras inference".split(),
    *"AS0301 as0101 AS9999 conv nothing classes=2 classes=x =1 lenet5 googlenet nowhere.yaml . .. - -- ../x 0 -1 5 1e9".split(),
    *"inspect export import convert --spec --to --mapping --ignore-spec --allow-nonfinite w.pt w.safetensors w.caffemodel".split(),
    *["", " ", "\0", "a\nb", "\udc80", "x" * 5000, "/", "/dev/null", "/proc/self/mem"],
]


@examples(250)
@given(st.lists(st.sampled_from(OPTIONS), max_size=5))
@example(["build", "lenet5", "--backend", "torch", "-o", ".", "--seed", "5"])
@example(["init", "a/b/c.yaml"])
def test_arguments(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        ended(*arguments)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of the smallest network, with a picture for it."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("built")
    assert (
        main(["build", "lenet5", "--backend", "torch", "-o", str(folder / "net"), "--quiet"]) == 0
    )
    Image.new("L", (40, 40), 128).save(folder / "picture.png")
    assert ended("run", str(folder / "net"), str(folder / "picture.png"))[0] == 0
    return folder


def _with(built: Path, name: str, content: bytes) -> tuple[int, str, str]:
    """`archspec run` where one of the files holds something else."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "built"
        shutil.copytree(built, folder)
        (folder / name).write_bytes(content)
        return ended("run", str(folder / "net"), str(folder / "picture.png"), "--trust")


@examples(60)
@given(data=st.data())
def test_run_on_a_damaged_build(built: Path, data: st.DataObject) -> None:
    name = data.draw(
        st.sampled_from(["net/manifest.json", "net/weights.safetensors", "picture.png"])
    )
    raw = (built / name).read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.one_of(st.integers(0, min(len(raw), 200)), st.integers(0, len(raw))))
        raw = (
            raw[:at]
            + data.draw(st.binary(max_size=4))
            + raw[at + data.draw(st.sampled_from([0, 1, 5, len(raw)])) :]
        )
    _with(built, name, raw)


@examples(60)
@given(data=st.data())
def test_run_on_another_manifest(built: Path, data: st.DataObject) -> None:
    manifest = json.loads((built / "net" / "manifest.json").read_text())
    for _ in range(data.draw(st.integers(1, 2))):
        here = manifest
        while True:
            key = data.draw(st.sampled_from(sorted(here)))
            if not isinstance(here[key], dict) or not here[key] or data.draw(st.booleans()):
                break
            here = here[key]
        here[key] = data.draw(damage.trees)
    _with(built, "net/manifest.json", json.dumps(manifest).encode())
