"""The emitted `model.py`: helpers, constants, a function with a statement a layer, the loader."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from archspec.backend import Provenance, TensorLayout
from archspec.codegen.file import module_docstring, standard_imports
from archspec.codegen.literals import literal
from archspec.codegen.packaged import (
    helper_sources,
    join_blocks,
    needed_helpers,
    referenced_names,
    template_blocks,
)
from archspec.codegen.printer import statement
from archspec.ir.graph import Graph, Node
from archspec_plain.lowerings import LOWERED, LoweringContext


def emit(
    graph: Graph, about: Provenance, weights: Path | None = None, /, **options: Any
) -> Mapping[str, bytes]:
    """Return the files of a build: `model.py` alone."""
    _, stub, model, build_model = template_blocks("archspec_plain", "template.py")
    network = network_function(graph, stub)
    body = join_blocks([*helpers(network), constants(graph), network, model, build_model])
    imports = [*standard_imports(body), "", "import numpy as np"]
    if "sliding_window_view(" in body:
        imports.append("from numpy.lib.stride_tricks import sliding_window_view")
    imports.append("from numpy.typing import NDArray")
    return {"model.py": "\n".join([module_docstring(about), "", *imports, "", body, ""]).encode()}


def helpers(network: str) -> list[str]:
    """Return the helpers that the network uses, with those that these use in turn."""
    sources = helper_sources("archspec_plain")
    used = referenced_names(network) & sources.keys()
    return [sources[name] for name in needed_helpers(sources, used)]


def constants(graph: Graph) -> str:
    """Return the path of the main output and the shape of every tensor, as constants."""
    rows = [f"    {literal(name)}: {param.shape}," for name, _, param in graph.parameters()]
    main = literal(graph.nodes[graph.heads[0].node].path)
    return "\n".join([f"MAIN = {main}", "TENSORS: dict[str, tuple[int, ...]] = {", *rows, "}"])


def network_function(graph: Graph, stub: str) -> str:
    """Return the network: the stub with statements for its body, those of train mode last."""
    header = stub[: stub.rindex("\n")]
    train_only = graph.reachable(graph.heads) - graph.inference
    lines = [f"    v: dict[str, Array] = {{{literal(graph.nodes[0].path)}: x}}"]
    lines += statements(graph, graph.inference, 4)
    if train_only:
        lines += ["    if train:", *statements(graph, train_only, 8)]
    return "\n".join([header, *lines, "    return v"])


def statements(graph: Graph, nodes: Collection[int], indent: int) -> list[str]:
    """Return the lines for these nodes, in the order of the graph; node 0 is the input."""
    numbers = sorted(set(nodes) - {0})
    return [line for number in numbers for line in _lines(graph, graph.nodes[number], indent)]


def explain(graph: Graph, node: Node) -> str:
    """Return what one node becomes."""
    return "\n".join(_lines(graph, node, 0))


def _lines(graph: Graph, node: Node, indent: int) -> list[str]:
    code = LOWERED[node.op.kind](LoweringContext(graph, node))
    return statement(f"v[{literal(node.path)}] = ", code, indent)


def tensor_layout(graph: Graph) -> Mapping[str, TensorLayout]:
    """Return the portable names and layouts, which the emitted model keeps."""
    return {name: TensorLayout(name, param.shape) for name, _, param in graph.parameters()}
