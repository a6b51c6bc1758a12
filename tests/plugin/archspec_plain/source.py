"""The whole of `model.py`: its head, the functions that it uses, a statement for each layer, the loader."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from archspec.backend import Provenance
from archspec.codegen.file import module_docstring, standard_imports
from archspec.codegen.literals import literal
from archspec.codegen.packaged import (
    helper_sources,
    join_blocks,
    needed_helpers,
    referenced_names,
    template_blocks,
)
from archspec.codegen.printer import function_header, statement
from archspec.ir.graph import Graph, Node
from archspec_plain.lowerings import LOWERED, Site


def emit(
    graph: Graph, about: Provenance, weights: Path | None = None, /, **options: Any
) -> Mapping[str, bytes]:
    """The files of a build: `model.py` alone."""
    called = network(graph)
    *_, model, build = template_blocks("archspec_plain", "template.py")
    body = join_blocks([*helpers(called), tables(graph), called, model, build])
    imports = [*standard_imports(body), "", "import numpy as np"]
    imports += ["from numpy.lib.stride_tricks import sliding_window_view"] * (
        "sliding_window_view(" in body
    )
    text = "\n".join(
        [module_docstring(about), "", *imports, "from numpy.typing import NDArray", "", body, ""]
    )
    return {"model.py": text.encode()}


def helpers(text: str) -> list[str]:
    """The functions and types of the package that a text uses, with those that they use in turn."""
    sources = helper_sources("archspec_plain")
    used = referenced_names(text) & sources.keys()
    return [sources[name] for name in needed_helpers(sources, used)]


def tables(graph: Graph) -> str:
    """The main output, and the shape of every tensor."""
    rows = [f"    {literal(name)}: {param.shape}," for name, _, param in graph.parameters()]
    main = literal(graph.nodes[graph.heads[0].node].path)
    return "\n".join([f"MAIN = {main}", "TENSORS: dict[str, tuple[int, ...]] = {", *rows, "}"])


def network(graph: Graph) -> str:
    """The function that computes every value, those that train mode alone needs last."""
    arguments = [
        "x: Array",
        "w: dict[str, Array]",
        "*",
        "train: bool",
        "rng: np.random.Generator | None",
    ]
    more = graph.reachable(graph.heads) - graph.inference
    lines = [*function_header("def network", arguments, " -> dict[str, Array]:", 0)]
    lines += [
        '    """Every value by its path, from the tensors w; train mode moves the statistics among these."""'
    ]
    lines += [
        f"    v: dict[str, Array] = {{{literal(graph.nodes[0].path)}: x}}",
        *statements(graph, graph.inference, 4),
    ]
    lines += ["    if train:", *statements(graph, more, 8)] if more else []
    return "\n".join([*lines, "    return v"])


def statements(graph: Graph, nodes: Collection[int], indent: int) -> list[str]:
    """The lines for these nodes, in execution order."""
    return [
        line
        for index in sorted(nodes)
        if index
        for line in _statement(graph, graph.nodes[index], indent)
    ]


def explain(graph: Graph, node: Node) -> str:
    """What one node becomes."""
    return "\n".join(_statement(graph, node, 0))


def _statement(graph: Graph, node: Node, indent: int) -> list[str]:
    return statement(
        f"v[{literal(node.path)}] = ", LOWERED[node.op.kind](Site(graph, node)), indent
    )
