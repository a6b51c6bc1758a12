"""The whole of `model.py`: its head, the helpers it uses, a class for each structure, the network, the loader."""

from __future__ import annotations

import re
from collections.abc import Collection

from archspec.backend import Provenance
from archspec.codegen import packaged
from archspec.codegen.classes import form_classes
from archspec.codegen.constructor_args import resolve_class
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
from archspec.codegen.packaged import needed_helpers, template_blocks
from archspec.codegen.printer import function_header
from archspec.codegen.table import Assignment, assignment, format_assignments
from archspec.codegen.tree_builder import build_tree
from archspec.ir.graph import Graph
from archspec.ir.types import format_shape
from archspec_torch.dialect import TORCH
from archspec_torch.forward import Forward
from archspec_torch.heads import Outputs
from archspec_torch.inplace import overwrite_inputs
from archspec_torch.weights import Renaming, renaming, tensor_attributes


def emit(graph: Graph, about: Provenance) -> dict[str, bytes]:
    """The files of a build, `model.py` alone."""
    return {"model.py": source(graph, about).encode()}


def source(graph: Graph, about: Provenance) -> str:
    """The module's text."""
    helpers = helper_sources()
    *inner, top = classes = _classes(graph, helpers)
    outputs = Outputs(graph, f"{top.name}Output")
    layers = [
        part
        for cls in classes
        for part in flatten(cls.example.children)
        if isinstance(part, LayerCall)
    ]
    used = {leaf.module.target for leaf in layers if leaf.module.helper}
    parts = [helpers[name] for name in needed_helpers(helpers, used)]
    parts += map(class_source, inner)
    parts += [outputs.definition()] if outputs.several else []
    parts += [network_source(top, graph, outputs), loader(top.name, renaming(graph, top.example))]
    body = "\n\n\n".join(parts)
    return f"{module_docstring(about)}\n\n{imports(body)}\n\n\n{body}\n"


def network_parts(graph: Graph) -> Instance:
    """The network's own class as the emitted file builds it: its parts have the attributes that they have there."""
    return _classes(graph, helper_sources())[-1].example


def attributes(graph: Graph) -> dict[str, str]:
    """The emitted model's `state_dict` key for every tensor of the graph, by its neutral name."""
    return tensor_attributes(graph, network_parts(graph))


def _classes(graph: Graph, helpers: Collection[str]) -> list[EmittedClass]:
    top = build_tree(graph, TORCH)
    overwrite_inputs(graph, top)
    return form_classes(graph, top, TORCH, helpers, lambda cls: resolve_class(graph, cls))


_TORCH = {r"\btorch\.": "import torch", r"\bF\.": "import torch.nn.functional as F"}


def imports(body: str) -> str:
    """The imports that the text needs, in the order that linters want."""
    torch = [line for pattern, line in _TORCH.items() if re.search(pattern, code_only(body))]
    return "\n".join(
        [*standard_imports(body, ("Any", "NamedTuple")), "", *torch, "from torch import Tensor, nn"]
    )


def class_source(cls: EmittedClass) -> str:
    """A block's class."""
    forward = Forward(cls)
    lines = [f"class {cls.name}(nn.Module):", *docstring_lines(cls.scope.doc or describe(cls)), ""]
    lines += _constructor(cls, _assignments(cls, rows=False))
    count = len(cls.example.outputs)
    result = "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"
    arguments = ["self", *(f"{name}: Tensor" for name in forward.inputs)]
    return "\n".join(
        [*lines, *function_header("def forward", arguments, f" -> {result}:", 4), *forward.body(8)]
    )


def network_source(cls: EmittedClass, graph: Graph, outputs: Outputs) -> str:
    """The network's class."""
    forward = Forward(cls, whole=True, late=outputs.late)
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
    """`self.attr = ...` for every part, indented as a constructor's body; `rows` lays tables out."""
    found = [
        (part, f"self.{part.attr}", cls.constructors[part])
        for part in cls.example.children
        if not isinstance(part, MergeCall)
    ]
    return format_assignments(
        [assignment(*each) if rows else Assignment(*each[1:]) for each in found], 8
    )


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
    """The text of each helper by its name, in one, two and three dimensions."""
    return packaged.helper_sources("archspec_torch", "2d")


def loader(name: str, renamed: Renaming) -> str:
    """`build_model`, and how the spec's names become attributes."""
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
