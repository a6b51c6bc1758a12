"""`archspec backends`: list what is installed, its engines, and the ops each lacks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archspec.cli.common import print_note

if TYPE_CHECKING:
    from archspec.analysis.tables import Table
    from archspec.docgen.support import Package, Support

HELP = "list the installed backends"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=("table", "json"), default="table", help="for people, or data"
    )
    parser.add_argument("--quiet", action="store_true", help="no remarks")


def execute(options: argparse.Namespace) -> int:
    import json

    from archspec.analysis.tables import text
    from archspec.docgen.support import installed

    entries = installed()
    if options.format == "json":
        print(json.dumps([_data(entry) for entry in entries], indent=2))
        return 0
    print(text(_table(entries)))
    for entry in entries:
        for remark in _remarks(entry):
            print_note(f"note: {remark}", options)
    return 0


def _table(entries: list[Support]) -> Table:
    """Return a line for each backend, and further ones for its other engines."""
    from archspec.analysis.tables import Cell, Column, Table
    from archspec.ops import OPS

    rows: list[tuple[Cell, ...]] = []
    for entry in entries:
        backend, framework = entry.backend, entry.framework
        if backend is None or framework is None:
            rows.append((entry.title, "broken", "", "", "", ""))
            continue
        first, *others = (*map(_shown, entry.engines), *([] if entry.engines else [""]))
        ops = f"{len(OPS) - len(entry.gaps)} of {len(OPS)}"
        able = (", ".join(backend.modes), ", ".join(backend.precisions), ops)
        rows.append((entry.title, _shown(framework), first, *able))
        rows += [("", "", other, "", "", "") for other in others]
    names = ("backend", "framework", "engine", "modes", "precisions", "ops")
    return Table(tuple(map(Column, names)), tuple(rows))


def _shown(package: Package) -> str:
    return f"{package.name} {package.version or 'is missing'}" + (
        " (usual)" if package.usual else ""
    )


def _remarks(entry: Support) -> Iterator[str]:
    if entry.fault:
        yield f"{entry.title}: {entry.fault}"
    for package in filter(None, (entry.framework, *entry.engines)):
        if package.install:
            yield f"{entry.title} lacks {package.name}: {package.install}"
    for kind, gap in entry.gaps.items():
        yield f"{entry.title} cannot build {kind}: {gap.reason}" + (
            f" ({gap.code})" if gap.code else ""
        )


def _data(entry: Support) -> dict[str, Any]:
    backend = entry.backend
    if backend is None or entry.framework is None:
        return {"name": entry.title, "error": entry.fault}
    from archspec.ops import OPS

    return {
        "name": entry.title,
        "error": None,
        "framework": _package(entry.framework),
        "extra": backend.extra,
        "engines": [
            {"name": engine.engine, "usual": engine.usual, **_package(engine)}
            for engine in entry.engines
        ],
        "modes": [*backend.modes],
        "precisions": [*backend.precisions],
        "formats": [{"name": form.name, "suffixes": [*form.suffixes]} for form in backend.formats],
        "options": [*backend.options],
        "ops": [kind for kind in OPS if kind not in entry.gaps],
        "gaps": {
            kind: {"code": gap.code, "reason": gap.reason} for kind, gap in entry.gaps.items()
        },
    }


def _package(package: Package) -> dict[str, Any]:
    return {
        "package": package.name,
        "version": package.version or None,
        "install": package.install or None,
    }
