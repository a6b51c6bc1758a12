"""The emitted `model.py`: helpers, a function for each block, the network, the loader."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
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
from archspec.codegen.function_body import FunctionBody
from archspec.codegen.literals import WIDTH, display_width, literal
from archspec.codegen.lowering import Merge, Module
from archspec.codegen.module_tree import EmittedClass, LayerCall, MergeCall, TreeNode, flatten
from archspec.codegen.offered import EmittedSource, emit_with_arguments
from archspec.codegen.packaged import needed_helpers, template_blocks
from archspec.codegen.printer import Call, List, function_header, statement
from archspec.codegen.schedule import train_only_outputs
from archspec.codegen.tree_builder import build_tree
from archspec.ir.graph import Graph
from archspec.ir.types import Shape, format_shape
from archspec_keras.calls import KerasCalls
from archspec_keras.dialect import KERAS
from archspec_keras.paths import Paths, allowed_name
from archspec_keras.tensor_roles import ROLES
from archspec_keras.train_only_weights import train_only_prefixes

HELPERS = ("activation", "conv", "merge", "norm", "pool", "shape")
"""The families in which Keras lacks a layer."""

_PYRIGHT_COMMENT = """\
# Keras has no stubs, and says of its operations that they could give None.
# pyright: reportOperatorIssue=false, reportOptionalSubscript=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false"""

_IMPORTS = {
    r"\breduce\(": "from functools import reduce",
    r"\boperator\.": "import operator",
    r"\bnp\.": "import numpy as np",
    r"\bkeras\.": "import keras",
}


def emit(
    graph: Graph, about: Provenance, weights: Path | None = None, /, **options: Any
) -> dict[str, bytes]:
    """Return the files of a build: `model.py` alone."""
    return {"model.py": source(graph, about).encode()}


def source(graph: Graph, about: Provenance) -> str:
    """Return the text of `model.py`."""
    helpers = helper_sources()

    def write(graph: Graph, arguments: Mapping[str, Any]) -> EmittedSource:
        functions = block_functions(graph, helpers, arguments)
        return EmittedSource(_module(graph, functions, about, helpers), functions[-1])

    return emit_with_arguments(graph, write).text


def _module(
    graph: Graph, functions: list[EmittedClass], about: Provenance, helpers: Mapping[str, str]
) -> str:
    *blocks, network = functions
    targets = {target for cls in functions for target in _targets(cls.example.children)}
    writer = FunctionWriter(graph, functions)
    parts = [helpers[name] for name in needed_helpers(helpers, targets & helpers.keys())]
    parts += [writer.block_function(cls) for cls in blocks]
    parts += [writer.network_function(network), loader(network.name, graph, writer.paths)]
    body = _mark_long_lines("\n\n\n".join(parts))
    docstring = module_docstring(about)
    return f"{docstring}\n\n{_PYRIGHT_COMMENT}\n\n{imports(body)}\n\n\n{body}\n"


def block_functions(
    graph: Graph, helpers: Collection[str], arguments: Mapping[str, Any] = NO_ARGUMENTS
) -> list[EmittedClass]:
    """Return a function for each structure, the network's own last."""

    def resolve(cls: EmittedClass) -> None:
        resolve_class(graph, cls, arguments)

    return form_classes(graph, build_tree(graph, KERAS), KERAS, helpers, resolve)


def _targets(calls: list[TreeNode]) -> Iterator[str]:
    """Iterate over the classes of the layers that a function calls."""
    for call in flatten(calls):
        match call:
            case LayerCall(module=module):
                yield from (layer.target for layer in module.layers)
            case MergeCall(merge=Merge(module=Module(target=target))):
                yield target
            case _:
                pass


class FunctionWriter:
    """The text of functions: one for each block, and the network's own."""

    def __init__(self, graph: Graph, functions: Sequence[EmittedClass]) -> None:
        self.graph = graph
        self.paths = Paths(graph)
        self.calls = KerasCalls(self.paths)
        # A value must not hide a function, nor the parameter `name`.
        self.taken = ["name", *(cls.name for cls in functions)]

    def block_function(self, cls: EmittedClass) -> str:
        """Return the function of a block."""
        body = FunctionBody(cls, self.calls, self.taken)
        inputs = [f"{name}: KerasTensor" for name in body.inputs]
        parameters = [*inputs, *_parameters(cls), "*", "name: str"]
        result = _result_type(len(cls.example.outputs))
        lines = function_header(f"def {cls.name}", parameters, f" -> {result}:", 0)
        lines += docstring_lines(cls.scope.doc or describe(cls))
        return "\n".join([*lines, *body.lines_with_return()])

    def network_function(self, cls: EmittedClass) -> str:
        """Return the function of the network, which makes the model."""
        graph = self.graph
        body = FunctionBody(
            cls,
            self.calls,
            self.taken,
            network_input="inputs",
            train_only=train_only_outputs(graph),
        )
        input_shape, output_shape = (
            _channels_last(graph.nodes[index].shape) for index in (0, graph.heads[0].node)
        )
        input_name = literal(self.paths.layer(graph.nodes[0]))
        parameters = [*_parameters(cls), "*", "train: bool = False"]
        lines = function_header(f"def {cls.name}", parameters, " -> keras.Model:", 0)
        lines += docstring_lines(
            f"The whole network, from {format_shape(input_shape)} to {format_shape(output_shape)}."
        )
        lines.append(f"    inputs = keras.Input({literal(input_shape)}, name={input_name})")
        lines += body.lines(0, body.eval_count)
        lines += ["    if not train:", *self._return_of_eval_mode(body)]
        lines += body.lines(body.eval_count, len(body.calls))
        return "\n".join([*lines, *self._return_of_train_mode(body)])

    def _return_of_eval_mode(self, body: FunctionBody) -> list[str]:
        """Return the lines that return a model of the outputs that inference has."""
        values = [body.value_name(head.node) for head in self.graph.heads if not head.train_only]
        outputs = values[0] if len(values) == 1 else List(tuple(values))
        name = literal(allowed_name(self.graph.name))
        args = (("", "inputs"), ("", outputs), ("name", name))
        return statement("return ", Call("keras.Model", args), 8)

    def _return_of_train_mode(self, body: FunctionBody) -> list[str]:
        """Return the lines that return a model whose outputs are a dict by head."""
        name = literal(allowed_name(self.graph.name))
        pairs = [f"{literal(head.name)}: {body.value_name(head.node)}" for head in self.graph.heads]
        line = f"    return keras.Model(inputs, {{{', '.join(pairs)}}}, name={name})"
        if len(line) <= WIDTH:
            return [line]
        rows = (f"        {pair}," for pair in pairs)
        args = (("", "inputs"), ("", "heads"), ("name", name))
        made = statement("return ", Call("keras.Model", args), 4)
        return ["    heads = {", *rows, "    }", *made]


def _parameters(cls: EmittedClass) -> list[str]:
    return [parameter_declaration(param.name, param.values, param.default) for param in cls.params]


def _result_type(count: int) -> str:
    return "KerasTensor" if count == 1 else f"tuple[{', '.join(['KerasTensor'] * count)}]"


def _channels_last(shape: Shape) -> Shape:
    return (*shape[1:], shape[0])


def _mark_long_lines(body: str) -> str:
    """Exempt each line from linting that cannot be shortened, such as a layer's long name."""
    exempt = "  # noqa: E501"
    return "\n".join(
        line + exempt if display_width(line) > WIDTH and not line.endswith(exempt) else line
        for line in body.split("\n")
    )


def imports(body: str) -> str:
    """Return the imports that the text needs, in the order that linters want."""
    body = code_only(body)
    needed = {line for pattern, line in _IMPORTS.items() if re.search(pattern, body)}
    standard = [
        *standard_imports(body),
        *(needed & {"from functools import reduce", "import operator"}),
    ]
    standard.sort(key=lambda line: (line.startswith("from"), line.split()[1]))
    lines = [*standard, "", *sorted(needed - {*standard}, key=lambda line: line.split()[1])]
    names = [name for name in ("KerasTensor", "layers", "ops") if re.search(rf"\b{name}\b", body)]
    if names:
        lines.append(f"from keras import {', '.join(names)}")
    return "\n".join(lines)


def helper_sources() -> dict[str, str]:
    """Return the source of each helper by its name, in one, two and three dimensions."""
    return packaged.helper_sources(
        "archspec_keras", "2D", [f"helpers/{family}.py" for family in HELPERS]
    )


def loader(name: str, graph: Graph, paths: Paths) -> str:
    """Return `build_model`, and the code that finds the layers of a spec's names."""
    _, _, *functions, load, build = template_blocks("archspec_keras", "template.py")
    constants = [dict_literal("ROLES", ROLES)]
    if paths.renamed:
        constants.insert(0, dict_literal("RENAMED", paths.renamed))
    else:
        spelling = '"-".join(RENAMED.get(part, part) for part in path.split("."))'
        functions = [text.replace(spelling, 'path.replace(".", "-")') for text in functions]
    prefixes = train_only_prefixes(graph)
    if prefixes:
        constants.insert(0, _train_only(prefixes))
    else:
        load = load.replace(
            'faults += [] if name.startswith(TRAIN_ONLY) else [f"{name} is unexpected"]',
            'faults.append(f"{name} is unexpected")',
        )
    text = "\n\n\n".join(["\n".join(constants), *functions, load, build])
    return re.sub(r"\bnetwork\(train", f"{name}(train", text)


def _train_only(prefixes: tuple[str, ...]) -> str:
    line = f"TRAIN_ONLY = {literal(prefixes)}"
    if len(line) <= WIDTH:
        return line
    rows = [f"    {literal(prefix)}," for prefix in prefixes]
    return "\n".join(["TRAIN_ONLY = (", *rows, ")"])
