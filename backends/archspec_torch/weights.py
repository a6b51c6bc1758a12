"""From the names of a spec's tensors to the attributes of the emitted module, and how the emitted loader says it."""

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

_TRIED = 2_000_000  # replacements that a loader may try before whole names are quicker

Levels = tuple[tuple[tuple[str, ...], str], ...]
"""A path level by level: what the spec calls it, in one part or more, and the attribute."""


def tensor_attributes(graph: Graph, top: Instance) -> dict[str, str]:
    """The attribute of every tensor, by its neutral name."""
    paths = {leaf.node.index: levels for leaf, levels in _leaves(top.children, ())}
    found: dict[str, str] = {}
    for neutral, node, param in graph.parameters():
        found[neutral] = ".".join((*(attr for _, attr in paths[node.index]), param.role))
    return found


def _leaves(parts: list[TreeNode], around: Levels) -> Iterator[tuple[LayerCall, Levels]]:
    for part in parts:
        here = (*around, (part.path_parts, part.attr))
        if isinstance(part, LayerCall):
            yield part, here
        elif isinstance(part, ModuleList):
            for inner in part.children:  # whose levels begin with the list's own
                yield from _inner(inner, (*around, (inner.path_parts, f"{part.attr}.{inner.attr}")))
        else:
            yield from _inner(part, here)


def _inner(part: TreeNode, here: Levels) -> Iterator[tuple[LayerCall, Levels]]:
    if isinstance(part, LayerCall):
        yield part, here
    elif isinstance(part, Sequential | Instance):
        yield from _leaves(part.children, here)


def modules(top: Instance) -> Iterator[tuple[str, TreeNode]]:
    """Every module of the emitted network but itself, by its path there, each before those within it."""
    yield from _modules(top.children, "")


def _modules(parts: list[TreeNode], prefix: str) -> Iterator[tuple[str, TreeNode]]:
    for part in parts:
        if isinstance(part, MergeCall):
            continue
        path = f"{prefix}{part.attr}"
        if not isinstance(part, ModuleList):  # a list of modules is never called itself
            yield path, part
        if isinstance(part, Sequential | ModuleList | Instance):
            yield from _modules(part.children, f"{path}.")


@dataclass(frozen=True)
class Renaming:
    """How the loader renames: parts of a name everywhere, `exact` whole names where that would not do."""

    parts: Mapping[str, str]
    exact: Mapping[str, str]

    def __call__(self, neutral: str) -> str:
        """As the emitted `attribute` does it."""
        if neutral in self.exact:
            return self.exact[neutral]
        dotted = f".{neutral}."
        for theirs, ours in self.parts.items():
            dotted = dotted.replace(f".{theirs}.", f".{ours}." if ours else ".")
        return dotted[1:-1]


def renaming(graph: Graph, top: Instance) -> Renaming:
    """The shortest of the ways to say `tensor_attributes`, tried on every tensor."""
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
    found = [_checked(names, pairs) for pairs in (whole, dropped)]
    return min(found, key=lambda renaming: len(renaming.parts) + len(renaming.exact))


def _checked(names: Mapping[str, str], pairs: list[tuple[str, str]]) -> Renaming:
    """What most of the pairs say, and the names for which that is not true."""
    votes: dict[str, Counter[str]] = {}
    for theirs, ours in pairs:
        votes.setdefault(theirs, Counter())[ours] += 1
    wanted = {theirs: ours.most_common(1)[0][0] for theirs, ours in votes.items()}
    longest_first = sorted(
        (theirs for theirs, ours in wanted.items() if theirs != ours), key=lambda t: -t.count(".")
    )
    if len(longest_first) * len(names) > _TRIED:
        return Renaming({}, {name: attr for name, attr in names.items() if name != attr})
    rough = Renaming({theirs: wanted[theirs] for theirs in longest_first}, {})
    return Renaming(
        rough.parts, {name: attr for name, attr in names.items() if rough(name) != attr}
    )
