"""House rules that a machine can check: imports point one way, files stay small, no network is known to the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import architecture

ROOT = Path(__file__).parent.parent
FILES = architecture.product_files(ROOT)
MODULES = {architecture.module_name(path, ROOT) for path in FILES}
SPECS = {path.stem: path.read_text() for path in sorted((ROOT / "specs").glob("*.yaml"))}

ORDER = (
    {"codes", "group", "lazy_numpy", "section"},
    {"diagnostics"},
    {"patterns", "render", "types"},
    {"expr"},
    {"op"},
    {"ops", "graph", "recipe"},
    {"document"},
    {"optimizer"},
    {"session", "trainer"},
    {"backend"},
    {"source"},
    {"analysis", "passes", "picture", "reference", "weights"},
    {"checks"},
    {"spec"},
    {"folder", "reference_docs"},
    {"compiler"},
    {"equivalence"},
    {"train", "conformance"},
    {"cli"},
    {"__main__"},
)
FREE = {"archspec.diagnostics": {"render"}}  # an exception of ours prints itself
FOR_BACKENDS = [
    f"archspec.{unit}"
    for unit in "op ops graph group types expr diagnostics backend session recipe optimizer trainer source".split()
]


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


CORE = [path for path in FILES if path.is_relative_to(ROOT / "archspec")]
BACKENDS = [path for path in FILES if path.is_relative_to(ROOT / "backends")]


@pytest.mark.parametrize("path", [path for path in CORE if path != ROOT / "archspec" / "__init__.py"], ids=ids)
def test_imports_point_one_way(path: Path) -> None:
    module = architecture.module_name(path, ROOT)
    free = {"__version__", *FREE.get(module, ())}
    assert architecture.against_the_order(module, path.read_text(), ORDER, MODULES, free) == []


@pytest.mark.parametrize("path", CORE, ids=ids)
def test_the_core_imports_no_framework_and_no_backend(path: Path) -> None:
    assert architecture.frameworks(path.read_text()) == []


@pytest.mark.parametrize("path", BACKENDS, ids=ids)
def test_a_backend_imports_only_what_a_third_party_would(path: Path) -> None:
    own = architecture.module_name(path, ROOT).partition(".")[0]
    assert architecture.foreign(path.read_text(), [own, *FOR_BACKENDS], MODULES) == []


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_file_has_at_most_400_lines(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 400


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_no_network_is_known_to_the_code(path: Path) -> None:
    assert architecture.named_networks(path.read_text(), architecture.network_names(SPECS)) == []


def test_the_codes_that_are_reported_are_those_that_are_explained() -> None:
    from archspec.codes import CODES

    sources = {path: path.read_text() for path in CORE if path.name != "codes.py"}
    strings = {text for source in sources.values() for _, text in architecture.words(source)}
    assert {text for text in strings if re.fullmatch(r"AS\d{4}", text)} == set(CODES)


def test_every_layer_family_has_the_same_file_in_every_backend() -> None:
    from archspec.ops import OPS

    for backend in (
        path.parent for path in BACKENDS if path.parent.parent == ROOT / "backends" and path.stem == "__init__"
    ):
        lowered = {path.stem for path in (backend / "lowerings").glob("*.py")} - {"__init__"}
        assert {op.family for op in OPS.values()} <= lowered, backend.name


def test_statistics_import_neither_numpy_nor_a_framework() -> None:
    assert SPECS, "no specs to count"
    program = "import sys; from archspec.cli import main; sys.exit(main(sys.argv[1:]))"
    spec = ROOT / "specs" / f"{next(iter(SPECS))}.yaml"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program, "stats", str(spec)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported = {name.partition(".")[0] for name in re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)}
    assert "archspec" in imported
    assert not imported & {"numpy", "PIL", "safetensors", "hypothesis", "pytest", *architecture.FRAMEWORKS}
