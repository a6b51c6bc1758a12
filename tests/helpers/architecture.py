"""Imports and words of Python files, read from their syntax trees; nothing is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

FRAMEWORKS = frozenset(
    {
        "torch",
        "torchvision",
        "tensorflow",
        "keras",
        "jax",
        "flax",
        "onnx",
        "onnxruntime",
        "mxnet",
        "paddle",
    }
)


def imports(source: str, modules: Collection[str] = ()) -> Iterator[tuple[int, str]]:
    """Line and full name of every import, wherever it stands; `from a import b` is `a.b` where
    that is a module.

    >>> list(imports("from archspec import graph, load", {"archspec", "archspec.graph"}))
    [(1, 'archspec.graph'), (1, 'archspec.load')]
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or "")
                continue
            module = node.module or ""
            nested = any(name.startswith(f"{module}.") for name in modules)
            yield from (
                (node.lineno, f"{module}.{alias.name}" if nested else module)
                for alias in node.names
            )


def against_the_order(
    module: str, source: str, order: Sequence[Collection[str]], modules: Collection[str]
) -> list[str]:
    """The imports of a module that point neither into its own unit nor to one of an earlier group.

    A unit is a file or folder of the package (`compiler`, `ir`).
    """
    place = {name: index for index, group in enumerate(order) for name in group}
    own = _unit(module)
    if own not in place:
        return [f"{own} has no place in the order of imports"]
    wrong: list[str] = []
    for line, target in imports(source, modules):
        unit = _unit(target)
        ours = target.partition(".")[0] == "archspec" and unit != own
        if ours and place.get(unit, len(order)) >= place[own]:
            wrong.append(f"line {line}: {own} imports {target}")
    return wrong


def _unit(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def circles(sources: Mapping[str, str]) -> list[str]:
    """The modules that can be reached from themselves, by imports at the top, in functions or for
    types alike.

    >>> circles({"archspec.a": "from archspec import b", "archspec.b": "def f():\\n    import archspec.a"})
    ['archspec.a', 'archspec.b']
    """
    reads = {
        name: {target for _, target in imports(text, sources)} & set(sources)
        for name, text in sources.items()
    }

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = reads[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    return sorted(name for name in sources if name in reachable(name))


def foreign(source: str, allowed: Collection[str], modules: Collection[str]) -> list[str]:
    """The imports of our own packages other than the allowed ones, as a backend is held to."""
    found = imports(source, modules)
    ours = (
        (line, module) for line, module in found if module.partition(".")[0].startswith("archspec")
    )
    return [
        f"line {line}: imports {module}"
        for line, module in ours
        if not any(module == name or module.startswith(f"{name}.") for name in allowed)
    ]


def frameworks(source: str) -> list[str]:
    """The imports of frameworks and of backends, which the core has none of."""
    tops = (
        (line, module.partition(".")[0] or "a relative name") for line, module in imports(source)
    )
    barred = {*FRAMEWORKS, "a relative name"}
    return [
        f"line {line}: imports {top}"
        for line, top in tops
        if top in barred or top.startswith("archspec_")
    ]


def words(source: str) -> Iterator[tuple[int, str]]:
    """Every identifier and every string of a file, docstrings and comments left out."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                yield line, text
            case (
                ast.Name(id=text)
                | ast.Attribute(attr=text)
                | ast.arg(arg=text)
                | ast.keyword(arg=str(text))
            ):
                yield line, text
            case (
                ast.FunctionDef(name=text)
                | ast.AsyncFunctionDef(name=text)
                | ast.ClassDef(name=text)
                | ast.alias(name=text)
            ):
                yield line, text
            case _:
                pass


def plain(text: str) -> str:
    """Letters and digits alone, lower case: `GoogLeNet-BN`, `googlenet_bn` and `googlenet bn` are
    one name.
    """
    return re.sub(r"[^a-z0-9]", "", text.lower())


def named_networks(source: str, networks: Collection[str]) -> list[str]:
    """The places outside prose that hold the name of a network, in whatever spelling."""
    return [
        f"line {n}: {text[:60]!r}"
        for n, text in words(source)
        if any(name in plain(text) for name in networks)
    ]


def network_names(specs: Mapping[str, str]) -> set[str]:
    """The names of networks: the stems of specs, their first words, and what their `name` key
    says.
    """
    found = {plain(stem) for stem in specs} | {plain(stem.partition("-")[0]) for stem in specs}
    stated = (re.search(r"^name: *(.+)$", text, re.MULTILINE) for text in specs.values())
    return found | {plain(match[1]) for match in stated if match}


def product_files(root: Path) -> list[Path]:
    """The Python files that users install."""
    return sorted([*(root / "archspec").rglob("*.py"), *(root / "backends").rglob("*.py")])


def module_name(path: Path, root: Path) -> str:
    """`archspec.frontend.yaml` for archspec/frontend/yaml.py, `archspec_torch` for a backend's
    __init__.py.
    """
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(part for part in parts if part not in ("backends", "__init__"))
