"""Spec files: finding them by path or name, and reading one with all that it extends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from archspec._files import check_file, read_bytes
from archspec.diagnostics import Report, Source, Span, quote, reason
from archspec.frontend.cache import parse_cached
from archspec.frontend.overlay import overlay
from archspec.frontend.overrides import apply_edits
from archspec.frontend.tree import (
    Tree,
    YamlMap,
    YamlScalar,
    copy_tree,
    describe_tree,
    is_null,
    tree_depth,
)
from archspec.frontend.yaml import MAX_BYTES, MAX_DEPTH, Budget
from archspec.frontend.yaml_errors import decode

MAX_EXTENDS = 20


def shipped_folder() -> Path:
    """Return the folder of the specs that come with archspec."""
    package = Path(__file__).parent.parent
    installed = package / "specs"
    # In a checkout they lie beside the package.
    return installed if installed.is_dir() else package.parent / "specs"


def find_spec(spec: str | os.PathLike[str]) -> Path:
    """Return the file of a path, or of a shipped spec's name; a file here goes before that."""
    path = Path(spec)
    if path.suffix or len(path.parts) != 1 or _holds(path, Path.is_file):
        return path
    return _shipped_spec(path.name) or path


def _shipped_spec(name: str) -> Path | None:
    path = shipped_folder() / f"{name}.yaml"
    return path if _holds(path, Path.is_file) else None


def _holds(path: Path, test: Callable[[Path], bool]) -> bool:
    """Return what a test of a path says; False for a name that no file can have."""
    try:
        return test(path)
    except (OSError, ValueError):
        return False


class SpecReader:
    """Reads a spec and what it extends, all within one budget.

    `extends` may not leave the spec's folder, but for the shipped specs and those of `include`.
    `texts` collects the bytes of every file that was read, and `inputs` the `input` and `args` of
    each as the file has them.
    """

    def __init__(self, report: Report, include: Iterable[Path] = ()) -> None:
        self.report = report
        self.budget = Budget()
        self.folders = [folder.resolve() for folder in include]
        self.texts: list[bytes] = []
        self.inputs: dict[Source, YamlMap] = {}

    def read_tree(self, path: Path) -> YamlMap | None:
        """Return the spec's tree, laid over what it extends, with its edits applied."""
        try:
            folder = path.resolve().parent
        except (OSError, RuntimeError, ValueError):
            folder = Path()
        self.folders.append(folder)
        return self._resolved(path, None, [])

    def _resolved(self, path: Path, at: Span | None, chain: list[Path]) -> YamlMap | None:
        """Return the tree of one file, laid over what it extends.

        `at` is the `extends` that names it; `chain` the files that extend it, one another.
        """
        source = self._source(path, at)
        tree = parse_cached(source, self.report, self.budget) if source else None
        if tree is None:
            return None
        if not isinstance(tree, YamlMap):
            keys = "`name`, `input` and `network`"
            message = f"a spec is a mapping of keys such as {keys}, found {describe_tree(tree)}"
            self.report.error("AS0204", tree.span, message)
            return None
        base = tree.get("extends")
        merged = tree
        if base is not None and not is_null(base):
            under = self._base(base, path, [*chain, path.resolve()])
            if under is None:
                return None
            merged = overlay(under, tree)
        edited = self._edited(merged, tree.get("edit"))
        if edited is not None:
            entries = {
                name: (key, copy_tree(value))
                for name, (key, value) in edited.entries.items()
                if name in ("input", "args")
            }
            self.inputs[tree.source] = YamlMap(entries, tree.source, tree.start, tree.end)
        return edited

    def _edited(self, tree: YamlMap, edits: Tree | None) -> YamlMap | None:
        if edits is None:
            return tree
        tree = apply_edits(tree, edits, self.report)
        if tree_depth(tree) > MAX_DEPTH:
            message = f"once edited, the spec is nested more than {MAX_DEPTH} deep"
            self.report.error("AS0105", edits.span, message)
            return None
        return tree

    # Reading one file

    def _source(self, path: Path, at: Span | None) -> Source | None:
        span = at or Source(str(path), "").start
        code = "AS0001" if at is None else "AS0409"
        try:
            raw = self._bytes(path, must_be_file=at is not None)
        except (OSError, ValueError) as error:
            message = f"cannot read {quote(path)}: {reason(error)}"
            self.report.error(code, span, message, help=self._suggestion(path))
            return None
        self.budget.bytes -= len(raw)
        if self.budget.bytes < 0:
            message = f"a spec and what it extends have at most {MAX_BYTES // 2**20} MiB"
            self.report.error("AS0106", span, message, help="use blocks and `repeat`")
            return None
        self.texts.append(raw)
        return decode(raw, str(path), self.report)

    def _bytes(self, path: Path, must_be_file: bool) -> bytes:
        if must_be_file:  # a shell opens streams for the user, not for a spec
            check_file(path)
        return read_bytes(path, self.budget.bytes + 1)

    def _suggestion(self, path: Path) -> str:
        """Return the help that names a spec with nearly that name, here or among the shipped."""
        specs: dict[str, Path] = {}
        try:
            for folder in (path.parent, shipped_folder()):
                if folder.is_dir():
                    specs |= {spec.name: spec for spec in folder.glob("*.yaml")}
        except OSError:
            return ""
        import difflib

        name = path.name if path.suffix else f"{path.name}.yaml"
        near = difflib.get_close_matches(name, specs, n=1)
        if not near:
            return ""
        spec = specs[near[0]]
        by_name = not path.suffix and spec.parent == shipped_folder()
        return f"did you mean {quote(spec.stem if by_name else spec)}?"

    # `extends`

    def _base(self, base: Tree, path: Path, chain: list[Path]) -> YamlMap | None:
        """Return the tree of the spec that `extends` names."""
        if not isinstance(base, YamlScalar) or not isinstance(base.value, str):
            message = f"`extends` is the path of a spec, found {describe_tree(base)}"
            self.report.error("AS0204", base.span, message)
            return None
        # A link's base lies beside the file that it links to, and is shown by the user's path.
        folder = path.parent if path.parent.resolve() == chain[-1].parent else chain[-1].parent
        stated = folder / base.value
        try:
            target = self._target(stated, base.value)
        except (OSError, RuntimeError, ValueError):
            message = f"{quote(base.value)} is not the path of a spec"
            self.report.error("AS0409", base.span, message, help="as in `extends: base.yaml`")
            return None
        if not self._may_extend(target, base, base.value, chain):
            return None
        shown = stated if target == stated.resolve() else target
        return self._resolved(shown, base.span, chain)

    def _target(self, stated: Path, name: str) -> Path:
        is_name = not stated.suffix and not stated.is_file() and len(Path(name).parts) == 1
        shipped = _shipped_spec(name) if is_name else None
        return (shipped or stated).resolve()

    def _may_extend(self, target: Path, base: YamlScalar, name: str, chain: list[Path]) -> bool:
        """Return True if a spec may extend that file; report why not."""
        if target in chain:
            circle = " -> ".join(spec.name for spec in [*chain[chain.index(target) :], target])
            message = f"specs extend each other in a circle: {quote(circle)}"
            self.report.error("AS0408", base.span, message)
            return False
        if len(chain) > MAX_EXTENDS:
            message = f"specs extend each other more than {MAX_EXTENDS} times over"
            self.report.error("AS0408", base.span, message)
            return False
        allowed = (*self.folders, shipped_folder().resolve())
        if not any(target.is_relative_to(folder) for folder in allowed):
            message = f"{quote(name)} lies outside the spec's folder"
            help = "copy it next to the spec, or allow its folder with `--include DIR`"
            self.report.error("AS0410", base.span, message, help=help)
            return False
        return True
