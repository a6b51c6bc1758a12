"""How our source reads, measured from its syntax trees: each measure lists the places that it counts."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

OPENERS = ("What ", "How ", "Whether ", "Where ", "As ", "Of ", "Those ", "That ")
VAGUE = frozenset({"found", "known", "kept", "given", "wanted", "own", "told", "each"})
BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.While,
    ast.BoolOp,
    ast.ExceptHandler,
    ast.comprehension,
    ast.match_case,
    ast.Assert,
)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def nested_conditionals(source: str) -> Iterator[int]:
    """Yield the lines of conditional expressions that hold another one.

    >>> list(nested_conditionals("x = 1 if a else 2 if b else 3"))
    [1]
    """
    for node in _nodes(source, ast.IfExp):
        parts = (node.body, node.orelse, node.test)
        if any(isinstance(part, ast.IfExp) for part in parts):
            yield node.lineno


def vague_openers(source: str) -> Iterator[str]:
    """Yield the docstrings that open as a clause does, not as a command or a noun phrase."""
    for node in _nodes(source, ast.Module | ast.ClassDef | Function):
        doc = ast.get_docstring(node)
        if doc and doc.startswith(OPENERS):
            yield doc.partition("\n")[0]


def vague_assignments(source: str) -> Iterator[int]:
    """Yield the lines that assign to a name which does not say what it holds.

    >>> list(vague_assignments("found = 1\\nfound_path = 2\\n(a, known) = 3, 4"))
    [1, 3]
    """
    for node in _nodes(source, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        if names & VAGUE:
            yield node.lineno


def branching_functions(source: str, least: int = 10) -> Iterator[str]:
    """Yield the functions with so many branches, inner functions included."""
    for node in _nodes(source, Function):
        if sum(isinstance(inner, BRANCHES) for inner in ast.walk(node)) >= least:
            yield node.name


def conditionals(source: str) -> int:
    """Return how many conditional expressions there are."""
    return sum(1 for _ in _nodes(source, ast.IfExp))


def comprehensions(source: str) -> int:
    """Return how many comprehensions and generator expressions there are."""
    return sum(isinstance(node, COMPREHENSIONS) for node in ast.walk(ast.parse(source)))


def code_lines(source: str) -> int:
    """Return how many lines are not blank."""
    return sum(bool(line.strip()) for line in source.splitlines())


def shared_classes(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the public class names that several modules define, with those modules.

    >>> shared_classes({"a": "class Run: ...", "b": "class Run: ...", "c": "class Line: ..."})
    {'Run': ['a', 'b']}
    """
    modules: dict[str, list[str]] = defaultdict(list)
    for module, source in sources.items():
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].append(module)
    return {name: where for name, where in sorted(modules.items()) if len(where) > 1}


def _nodes(source: str, kinds: Any) -> Iterator[Any]:
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds))
