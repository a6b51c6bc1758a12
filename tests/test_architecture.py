"""House rules that a machine can check: imports point one way, files stay small, no network is known to the code."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.helpers import architecture

ROOT = Path(__file__).parent.parent
FILES = architecture.product_files(ROOT)
MODULES = {architecture.module_name(path, ROOT) for path in FILES}
SPECS = {path.stem: path.read_text() for path in sorted((ROOT / "specs").glob("*.yaml"))}

ORDER = (
    {"_numpy", "_signals", "_version", "diagnostics"},
    {"_files"},
    {"_json", "_patterns", "ir"},
    {"analysis", "backend", "images", "ops", "passes"},
    {"checks", "codegen", "frontend", "reference"},
    {"build_folder", "docgen", "weights"},
    {"compiler"},
    {"equivalence", "train"},
    {"cli", "conformance"},
    {"__main__"},
)
"""The rooms, from the ground up: a room imports those of the floors below its own."""
FOR_BACKENDS = [f"archspec.{room}" for room in ("ir", "ops", "diagnostics", "backend", "codegen")]


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


CORE = [path for path in FILES if path.is_relative_to(ROOT / "archspec")]
BACKENDS = [path for path in FILES if path.is_relative_to(ROOT / "backends")]


def faults(paths: list[Path], check: Callable[[Path], list[str]]) -> list[str]:
    """What a check finds in these files, each with its file."""
    return [f"{ids(path)}: {fault}" for path in paths for fault in check(path)]


def test_imports_point_one_way() -> None:
    def check(path: Path) -> list[str]:
        return architecture.against_the_order(
            architecture.module_name(path, ROOT), path.read_text(), ORDER, MODULES
        )

    assert faults([path for path in CORE if path != ROOT / "archspec" / "__init__.py"], check) == []


def test_no_modules_import_each_other() -> None:
    assert (
        architecture.circles(
            {architecture.module_name(path, ROOT): path.read_text() for path in FILES}
        )
        == []
    )


def test_the_core_imports_no_framework_and_no_backend() -> None:
    assert faults(CORE, lambda path: architecture.frameworks(path.read_text())) == []


def test_a_backend_imports_only_what_a_third_party_would() -> None:
    def check(path: Path) -> list[str]:
        own = architecture.module_name(path, ROOT).partition(".")[0]
        return architecture.foreign(path.read_text(), [own, *FOR_BACKENDS], MODULES)

    assert faults(BACKENDS, check) == []


def test_a_file_has_at_most_400_lines() -> None:
    assert [ids(path) for path in FILES if len(path.read_text().splitlines()) > 400] == []


def test_no_network_is_known_to_the_code() -> None:
    names = architecture.network_names(SPECS)
    assert faults(FILES, lambda path: architecture.named_networks(path.read_text(), names)) == []


def test_the_codes_that_are_reported_are_those_that_are_explained() -> None:
    from archspec.diagnostics.codes import codes

    sources = {path: path.read_text() for path in CORE if path.name != "codes.py"}
    strings = {text for source in sources.values() for _, text in architecture.words(source)}
    assert {text for text in strings if re.fullmatch(r"AS\d{4}", text)} == set(codes())


def test_every_layer_family_has_the_same_file_in_every_backend() -> None:
    from archspec.ops import OPS

    for backend in (
        path.parent
        for path in BACKENDS
        if path.parent.parent == ROOT / "backends" and path.stem == "__init__"
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
    imported = {
        name.partition(".")[0]
        for name in re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)
    }
    assert "archspec" in imported
    assert not imported & {
        "numpy",
        "PIL",
        "safetensors",
        "hypothesis",
        "pytest",
        *architecture.FRAMEWORKS,
    }
