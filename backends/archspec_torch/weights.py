"""The attribute of each tensor in the emitted module, and the loader's tables that lead there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archspec.codegen.module_tree import (
    Instance,
    LayerCall,
    MergeCall,
    ModuleList,
    Sequential,
    TreeNode,
)
from archspec.ir.graph import Graph

MAX_REPLACEMENTS = 2_000_000
"""The most replacements that a loader tries; beyond it, a table of whole names is faster."""

Levels = tuple[tuple[tuple[str, ...], str], ...]
"""A path, level by level: the parts of its name in the spec, and the attribute."""


def tensor_attributes(graph: Graph, top: Instance) -> dict[str, str]:
    """Return the attribute path of every tensor, by its portable name."""
    paths = {leaf.node.index: levels for leaf, levels in _leaves(top.children, ())}
    attributes: dict[str, str] = {}
    for name, node, param in graph.parameters():
        attributes[name] = ".".join((*(attr for _, attr in paths[node.index]), param.role))
    return attributes


def _leaves(parts: list[TreeNode], around: Levels) -> Iterator[tuple[LayerCall, Levels]]:
    for part in parts:
        here = (*around, (part.path_parts, part.attr))
        if isinstance(part, LayerCall):
            yield part, here
        elif isinstance(part, ModuleList):
            for inner in part.children:  # an item's parts include those of the list
                yield from _inner(inner, (*around, (inner.path_parts, f"{part.attr}.{inner.attr}")))
        else:
            yield from _inner(part, here)


def _inner(part: TreeNode, here: Levels) -> Iterator[tuple[LayerCall, Levels]]:
    if isinstance(part, LayerCall):
        yield part, here
    elif isinstance(part, Sequential | Instance):
        yield from _leaves(part.children, here)


def named_modules(top: Instance) -> Iterator[tuple[str, TreeNode]]:
    """Yield every module of the emitted network with its path, parents first, without the
    network."""
    yield from _modules(top.children, "")


def _modules(parts: list[TreeNode], prefix: str) -> Iterator[tuple[str, TreeNode]]:
    for part in parts:
        if isinstance(part, MergeCall):
            continue
        path = f"{prefix}{part.attr}"
        if not isinstance(part, ModuleList):  # torch never calls a list of modules itself
            yield path, part
        if isinstance(part, Sequential | ModuleList | Instance):
            yield from _modules(part.children, f"{path}.")


@dataclass(frozen=True)
class Renaming:
    """The loader's tables: replacements for parts of any name, and `exact` ones for whole names."""

    parts: Mapping[str, str]
    exact: Mapping[str, str]

    def __call__(self, name: str) -> str:
        """Return the attribute of a tensor, as the emitted `attribute` does."""
        if name in self.exact:
            return self.exact[name]
        dotted = f".{name}."
        for theirs, ours in self.parts.items():
            dotted = dotted.replace(f".{theirs}.", f".{ours}." if ours else ".")
        return dotted[1:-1]


def renaming(graph: Graph, top: Instance) -> Renaming:
    """Return the smallest tables that lead to `tensor_attributes`, checked on every tensor."""
    levels = [
        pair for leaf, path in _leaves(top.children, ()) if graph.params(leaf.node) for pair in path
    ]
    whole = [(".".join(theirs), ours) for theirs, ours in levels]
    # Where scopes fold into one attribute, the outermost names it and the others are dropped.
    dropped = [
        pair
        for theirs, ours in levels
        for pair in ((theirs[0], ours), *((part, "") for part in theirs[1:]))
    ]
    names = tensor_attributes(graph, top)
    candidates = [_checked(names, pairs) for pairs in (whole, dropped)]
    return min(candidates, key=lambda renaming: len(renaming.parts) + len(renaming.exact))


def _checked(names: Mapping[str, str], pairs: list[tuple[str, str]]) -> Renaming:
    """Return the majority of the replacements, and the whole names for which they are wrong."""
    votes: dict[str, Counter[str]] = {}
    for theirs, ours in pairs:
        votes.setdefault(theirs, Counter())[ours] += 1
    majority = {theirs: ours.most_common(1)[0][0] for theirs, ours in votes.items()}
    longest_first = sorted(
        (theirs for theirs, ours in majority.items() if theirs != ours), key=lambda t: -t.count(".")
    )
    if len(longest_first) * len(names) > MAX_REPLACEMENTS:
        return Renaming({}, {name: attr for name, attr in names.items() if name != attr})
    rough = Renaming({theirs: majority[theirs] for theirs in longest_first}, {})
    return Renaming(
        rough.parts, {name: attr for name, attr in names.items() if rough(name) != attr}
    )
