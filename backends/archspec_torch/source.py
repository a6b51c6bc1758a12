"""The text of `model.py`: docstring, helpers, a class for each structure, the network, the
loader."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from archspec.backend import Provenance
from archspec.codegen import packaged
from archspec.codegen.classes import form_classes
from archspec.codegen.constructor_args import NO_ARGUMENTS, resolve_class
from archspec.codegen.describe import describe
from archspec.codegen.file import (
    code_only,
    dict_literal,
    docstring_lines,
    module_docstring,
    parameter_declaration,
    standard_imports,
)
from archspec.codegen.module_tree import EmittedClass, Instance, LayerCall, MergeCall, flatten
from archspec.codegen.offered import EmittedSource, emit_with_arguments
from archspec.codegen.packaged import needed_helpers, template_blocks
from archspec.codegen.printer import function_header
from archspec.codegen.table import Assignment, assignment, format_assignments
from archspec.codegen.tree_builder import build_tree
from archspec.ir.graph import Graph
from archspec.ir.types import format_shape
from archspec_torch.dialect import TORCH
from archspec_torch.forward import Forward
from archspec_torch.heads import NetworkOutputs
from archspec_torch.inplace import overwrite_inputs
from archspec_torch.weights import Renaming, renaming


def emit(graph: Graph, provenance: Provenance, weights: Path | None = None) -> dict[str, bytes]:
    """Return the files of a build: `model.py` alone. The weights stay in their checkpoint."""
    return {"model.py": source(graph, provenance).encode()}


def source(graph: Graph, provenance: Provenance) -> str:
    """Return the module's text."""
    helpers = helper_sources()

    def write(graph: Graph, arguments: Mapping[str, Any]) -> EmittedSource:
        classes = _classes(graph, helpers, arguments)
        return EmittedSource(_module(graph, classes, provenance, helpers), classes[-1])

    return emit_with_arguments(graph, write).text


def _module(
    graph: Graph,
    classes: list[EmittedClass],
    provenance: Provenance,
    helpers: Mapping[str, str],
) -> str:
    *inner, top = classes
    outputs = NetworkOutputs(graph, f"{top.name}Output")
    layers = [
        part
        for cls in classes
        for part in flatten(cls.example.children)
        if isinstance(part, LayerCall)
    ]
    used = {leaf.module.target for leaf in layers if leaf.module.helper}
    parts = [helpers[name] for name in needed_helpers(helpers, used)]
    parts += map(class_source, inner)
    parts += [outputs.definition()] if outputs.is_tuple else []
    parts += [network_source(top, graph, outputs), loader(top.name, renaming(graph, top.example))]
    body = "\n\n\n".join(parts)
    return f"{module_docstring(provenance)}\n\n{imports(body)}\n\n\n{body}\n"


def network_parts(graph: Graph) -> Instance:
    """Return the network's own class; its nodes have the attributes of the emitted file."""
    return _classes(graph, helper_sources())[-1].example


def _classes(
    graph: Graph, helpers: Collection[str], arguments: Mapping[str, Any] = NO_ARGUMENTS
) -> list[EmittedClass]:
    top = build_tree(graph, TORCH)
    overwrite_inputs(graph, top)
    return form_classes(
        graph, top, TORCH, helpers, lambda cls: resolve_class(graph, cls, arguments)
    )


_TORCH = {r"\btorch\.": "import torch", r"\bF\.": "import torch.nn.functional as F"}


def imports(body: str) -> str:
    """Return the imports that the text needs, in the order that linters want."""
    torch = [line for pattern, line in _TORCH.items() if re.search(pattern, code_only(body))]
    return "\n".join(
        [*standard_imports(body, ("Any", "NamedTuple")), "", *torch, "from torch import Tensor, nn"]
    )


def class_source(cls: EmittedClass) -> str:
    """Return a block's class."""
    forward = Forward(cls)
    lines = [f"class {cls.name}(nn.Module):", *docstring_lines(cls.scope.doc or describe(cls)), ""]
    lines += _constructor(cls, _assignments(cls, rows=False))
    count = len(cls.example.outputs)
    result = "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"
    arguments = ["self", *(f"{name}: Tensor" for name in forward.inputs)]
    return "\n".join(
        [*lines, *function_header("def forward", arguments, f" -> {result}:", 4), *forward.body(8)]
    )


def network_source(cls: EmittedClass, graph: Graph, outputs: NetworkOutputs) -> str:
    """Return the network's class."""
    forward = Forward(cls, whole=True, late=outputs.late_outputs)
    shapes = (format_shape(graph.nodes[index].shape) for index in (0, graph.heads[0].node))
    lines = [
        f"class {cls.name}(nn.Module):",
        *docstring_lines(f"The whole network, from {' to '.join(shapes)}."),
        "",
    ]
    lines += _constructor(cls, _assignments(cls, rows=True))
    lines += [f"    def forward(self, x: Tensor) -> {outputs.annotation}:", *outputs.body(forward)]
    return "\n".join(lines)


def _assignments(cls: EmittedClass, *, rows: bool) -> list[str]:
    """Return `self.attr = ...` for every child, in a constructor's body; `rows` aligns table
    rows."""
    rows_or_lines: list[Assignment] = []
    for child in cls.example.children:
        if isinstance(child, MergeCall):
            continue
        target, constructor = f"self.{child.attr}", cls.constructors[child]
        if rows:
            rows_or_lines.append(assignment(child, target, constructor))
        else:
            rows_or_lines.append(Assignment(target, constructor))
    return format_assignments(rows_or_lines, 8)


def _constructor(cls: EmittedClass, body: list[str]) -> list[str]:
    if not body:
        return []
    parameters = [
        "self",
        *(parameter_declaration(param.name, param.values, param.default) for param in cls.params),
    ]
    return [
        *function_header("def __init__", parameters, " -> None:", 4),
        "        super().__init__()",
        *body,
        "",
    ]


def helper_sources() -> dict[str, str]:
    """Return the text of each helper by its name, in one, two and three dimensions."""
    return packaged.helper_sources("archspec_torch", "2d")


def loader(name: str, renamed: Renaming) -> str:
    """Return `build_model`, `load_weights`, and the tables that map the spec's names to
    attributes."""
    _, _, attribute, load, build = template_blocks("archspec_torch", "template.py")
    tables: list[str] = []
    if renamed.parts or renamed.exact:
        exact = "    if name in EXACT:\n        return EXACT[name]\n"
        tables = [
            dict_literal("RENAMED", renamed.parts),
            *([dict_literal("EXACT", renamed.exact)] if renamed.exact else ()),
        ]
        blocks = [
            "\n".join(tables),
            attribute if renamed.exact else attribute.replace(exact, ""),
            load,
            build,
        ]
    else:
        every = "{attribute(name): tensor for name, tensor in load_file(path).items()}"
        blocks = [load.replace(every, "load_file(path)"), build]
    *blocks, build = [re.sub(r"\bNetwork\b", name, block) for block in blocks]
    return "\n\n\n".join([*blocks, _wrapped_head(build)])


def _wrapped_head(function: str) -> str:
    """Break the head of a function where a long name of the network takes it over the line."""
    head, _, body = function.partition("\n")
    start, parameter, end = re.split(r"\((?=weights)|(?<=None)\)", head)
    return "\n".join([*function_header(start, [parameter], end, 0), body])
