"""Finding and reading spec files: paths, shipped specs by name, and the bounds of `extends`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from archspec.diagnostics import Report, Source, Span, quote, reason
from archspec.frontend.cache import read_text
from archspec.frontend.overrides import apply_edits, overlay
from archspec.frontend.tree import Map, Scalar, Tree, describe, height, is_null
from archspec.frontend.yaml import MAX_BYTES, MAX_DEPTH, Room
from archspec.frontend.yaml_errors import decode

MAX_EXTENDS = 20


def shipped() -> Path:
    """The folder of the specs that come with archspec: beside the package in a checkout, inside it once installed."""
    inside = Path(__file__).parent.parent / "specs"
    return inside if inside.is_dir() else Path(__file__).parent.parent.parent / "specs"


def find(spec: str | os.PathLike[str]) -> Path:
    """The file that a path or the name of a shipped spec stands for."""
    path = Path(spec)
    if path.suffix or len(path.parts) != 1 or _is(path, Path.is_file):
        return path
    return _shipped(path.name) or path


def _shipped(name: str) -> Path | None:
    known = shipped() / f"{name}.yaml"
    return known if _is(known, Path.is_file) else None


def _is(path: Path, what: Callable[[Path], bool]) -> bool:
    """What a path is; a name that cannot be one is nothing."""
    try:
        return what(path)
    except (OSError, ValueError):
        return False


class Files:
    """Reads a spec and what it extends; `root` is the folder that `extends` may not leave, but for `include`."""

    def __init__(self, report: Report, include: Iterable[Path] = ()) -> None:
        self.report = report
        self.room = Room()
        self.folders = [folder.resolve() for folder in include]
        self.texts: list[bytes] = []

    def tree(self, path: Path) -> Map | None:
        """The spec's tree, what it extends overlaid and its edits applied."""
        try:
            folder = path.resolve().parent
        except (OSError, RuntimeError, ValueError):
            folder = Path()
        self.folders.append(folder)
        return self._resolved(path, None, [])

    def _raw(self, path: Path, at: Span | None) -> Source | None:
        place = at or Source(str(path), "").start
        code = "AS0001" if at is None else "AS0409"
        try:
            if path.is_dir() or (
                at is not None and path.exists() and not path.is_file()
            ):  # a pipe would never end
                raise IsADirectoryError(21, "it is not a file")
            with path.open("rb") as file:
                raw = file.read(self.room.bytes + 1)
        except (OSError, ValueError) as error:
            self.report.error(
                code, place, f"cannot read {quote(path)}: {reason(error)}", help=self._near(path)
            )
            return None
        self.room.bytes -= len(raw)
        if self.room.bytes < 0:
            message = f"a spec and what it extends have at most {MAX_BYTES // 2**20} MiB"
            self.report.error("AS0106", place, message, help="use blocks and `repeat`")
            return None
        self.texts.append(raw)
        return decode(raw, str(path), self.report)

    def _near(self, path: Path) -> str:
        """A spec with nearly that name, here or among the shipped ones."""
        try:
            here = {
                p.name: p
                for folder in (path.parent, shipped())
                if folder.is_dir()
                for p in folder.glob("*.yaml")
            }
        except OSError:
            return ""
        import difflib

        name = path.name if path.suffix else f"{path.name}.yaml"
        near = difflib.get_close_matches(name, here, n=1)
        if not near:
            return ""
        found = here[near[0]]
        return f"did you mean {quote(found.stem if not path.suffix and found.parent == shipped() else found)}?"

    def _resolved(self, path: Path, at: Span | None, chain: list[Path]) -> Map | None:
        source = self._raw(path, at)
        tree = read_text(source, self.report, self.room) if source else None
        if tree is None:
            return None
        if not isinstance(tree, Map):
            message = f"a spec is a mapping of keys such as `name`, `input` and `network`, found {describe(tree)}"
            self.report.error("AS0204", tree.span, message)
            return None
        base = tree.get("extends")
        if is_null(base):
            merged = tree
        else:
            assert base is not None
            under = self._base(base, path, [*chain, path.resolve()])
            if under is None:
                return None
            merged = overlay(under, tree)
        edits = tree.get("edit")
        if edits is None:
            return merged
        merged = apply_edits(merged, edits, self.report)
        if height(merged) > MAX_DEPTH:
            self.report.error(
                "AS0105", edits.span, f"once edited, the spec is nested more than {MAX_DEPTH} deep"
            )
            return None
        return merged

    def _base(self, base: Tree, path: Path, chain: list[Path]) -> Map | None:
        if not isinstance(base, Scalar) or not isinstance(base.value, str):
            self.report.error(
                "AS0204", base.span, f"`extends` is the path of a spec, found {describe(base)}"
            )
            return None
        folder = path.parent if path.parent.resolve() == chain[-1].parent else chain[-1].parent
        wanted = folder / base.value
        try:
            named = not wanted.suffix and not wanted.is_file() and len(Path(base.value).parts) == 1
            target = ((_shipped(base.value) if named else None) or wanted).resolve()
        except (OSError, RuntimeError, ValueError):
            help = "as in `extends: base.yaml`"
            self.report.error(
                "AS0409", base.span, f"{quote(base.value)} is no path of a spec", help=help
            )
            return None
        if target in chain:
            circle = " -> ".join(p.name for p in [*chain[chain.index(target) :], target])
            self.report.error(
                "AS0408", base.span, f"specs extend each other in a circle: {quote(circle)}"
            )
            return None
        if len(chain) > MAX_EXTENDS:
            self.report.error(
                "AS0408", base.span, f"specs extend each other more than {MAX_EXTENDS} times over"
            )
            return None
        if not any(
            target.is_relative_to(folder) for folder in (*self.folders, shipped().resolve())
        ):
            help = "copy it next to the spec, or allow its folder with `--include DIR`"
            self.report.error(
                "AS0410",
                base.span,
                f"{quote(base.value)} lies outside the spec's folder",
                help=help,
            )
            return None
        return self._resolved(wanted if target == wanted.resolve() else target, base.span, chain)
