"""The arguments of a spec that the emitted network offers.

`Network(width=32)` has to be the network of `--set width=32`, for any value that the spec allows.
An argument is offered if the steps themselves do not depend on it, and if the source is the same
whatever its value: that is tried, by emitting the network with other values.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from archspec.codegen.module_tree import EmittedClass
from archspec.codegen.parsing import parse
from archspec.ir.graph import Graph

MAX_PROBES = 4
MAX_PROBES_OF_SIZES = 12
"""Other values that are tried of an argument; more of those that sizes of windows depend on."""

MAX_READINGS = 24
"""Values that are tried until enough of them give a valid network."""

MAX_WORK = 20_000
"""Nodes times arguments up to which other values are tried. A larger network offers none."""

_FAR = 4096
"""The factor of a value that is beyond any bound in a spec, such as `max(width, 64)`."""


@dataclass(frozen=True, slots=True)
class EmittedSource:
    """The text of an emitted file, and the class or function of the network in it."""

    text: str
    network: EmittedClass

    @property
    def arguments(self) -> set[str]:
        """The spec's names of the arguments that the network's class has."""
        return {param.source[1] for param in self.network.params if param.source[0] == "global"}


Write = Callable[[Graph, Mapping[str, Any]], EmittedSource]
"""Emits a graph whose class may have these arguments, with these defaults."""


def emit_with_arguments(graph: Graph, write: Write) -> EmittedSource:
    """Return the source that offers every argument which is the spec's own, and no other."""
    candidates = {
        name: value
        for name, value in graph.root.args.items()
        if name not in graph.decisive and isinstance(value, int | float)
    }
    if len(candidates) * len(graph.nodes) > MAX_WORK:
        candidates = {}
    while True:
        source = write(graph, candidates)
        offered = {name: candidates[name] for name in candidates if name in source.arguments}
        wrong = _first_wrong(graph, offered, source, write)
        if not wrong:
            return source
        candidates = {name: value for name, value in offered.items() if name not in wrong}


def _first_wrong(
    graph: Graph, offered: Mapping[str, Any], source: EmittedSource, write: Write
) -> set[str]:
    """Return arguments whose other values give another source, or that have no other value."""
    program = _program(source.text)

    def is_same(args: Mapping[str, Any]) -> bool:
        other = graph.vary(args)
        return other is not None and _program(write(other, offered).text) == program

    values = {name: _legal_values(graph, name, value) for name, value in offered.items()}
    fixed = {name for name, legal in values.items() if not legal}
    return fixed or _first_different(graph, values, is_same)


def _first_different(
    graph: Graph, values: Mapping[str, list[Any]], is_same: Callable[[Mapping[str, Any]], bool]
) -> set[str]:
    """Return the arguments that make the source another at the first values where it is."""
    for args in _together(values):
        if not is_same(args):
            # Values may exclude each other though each is right: then each is tried by itself.
            alone = {name for name, value in args.items() if not is_same({name: value})}
            if alone or graph.vary(args) is not None:
                return alone or set(args)
    return set()


def _together(values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Yield the first values of all arguments, then the second ones of those that have them."""
    for number in range(max(map(len, values.values()), default=0)):
        yield {name: legal[number] for name, legal in values.items() if number < len(legal)}


def _legal_values(graph: Graph, name: str, value: Any) -> list[Any]:
    """Return other values of an argument with which the spec is still a network."""
    sizes = name in graph.sizing
    values = islice(_other_values(value, sizes=sizes), MAX_READINGS)
    legal = (other for other in values if graph.vary({name: other}) is not None)
    return list(islice(legal, MAX_PROBES_OF_SIZES if sizes else MAX_PROBES))


def _other_values(value: int | float, *, sizes: bool) -> Iterator[Any]:
    """Yield other values of an argument: near ones, odd and even, far ones, and small sizes."""
    if isinstance(value, bool):
        yield not value
        return
    if isinstance(value, float):
        others: Iterator[Any] = chain((value / 2, value + 0.25, 2 * value, 1 - value, value - 1))
    else:
        small = range(1, 9) if sizes else (2, 3)
        near = (value + 1, 2 * value, _FAR * value, 3 * value + 1, value - 1, value // 2)
        others = chain(near, small, (4 * value, 3 * value, 8 * value))
    yield from (other for other in dict.fromkeys(others) if other != value)


def _program(text: str) -> str:
    """Return what a source does, without its docstrings, which state shapes."""
    tree = parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            del node.body[0]
    return ast.dump(tree)
