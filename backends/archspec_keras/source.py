"""The whole of `model.py`: its head, the helpers it uses, a function for each structure, the network, the loader."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

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
from archspec.codegen.literals import WIDTH, display_width, literal
from archspec.codegen.lowering import Merge, Module
from archspec.codegen.module_tree import EmittedClass, LayerCall, MergeCall, TreeNode, flatten
from archspec.codegen.packaged import needed_helpers, template_blocks
from archspec.codegen.printer import function_header
from archspec.codegen.schedule import train_only_outputs
from archspec.codegen.tree_builder import build_tree
from archspec.ir.graph import Graph, Head
from archspec.ir.types import format_shape
from archspec_keras.body import Body
from archspec_keras.dialect import KERAS
from archspec_keras.paths import Paths, allowed_name
from archspec_keras.tensor_roles import ROLES
from archspec_keras.train_only_weights import train_only_prefixes


def emit(graph: Graph, about: Provenance) -> dict[str, bytes]:
    """The files of a build, `model.py` alone."""
    return {"model.py": source(graph, about).encode()}


def source(graph: Graph, about: Provenance) -> str:
    """The module's text."""
    helpers, paths = helper_sources(), Paths(graph)
    classes = functions(graph, helpers)
    *inner, top = classes
    used = {target for cls in classes for target in _targets(cls.example.children)}
    taken = [cls.name for cls in classes]
    parts = [helpers[name] for name in needed_helpers(helpers, used & helpers.keys())]
    parts += [function_source(cls, paths, taken) for cls in inner]
    parts += [network_source(top, graph, paths, taken), loader(top.name, graph, paths)]
    body = _lint_exempt("\n\n\n".join(parts))
    return f"{module_docstring(about)}\n\n{_TYPED}\n\n{imports(body)}\n\n\n{body}\n"


def _lint_exempt(body: str) -> str:
    """Mark each line that no line break can shorten, such as a layer's long name, for linters."""
    marked = "  # noqa: E501"
    return "\n".join(
        line + marked if display_width(line) > WIDTH and not line.endswith(marked) else line
        for line in body.split("\n")
    )


_TYPED = """\
# Keras has no stubs, and says of its operations that they could give None.
# pyright: reportOperatorIssue=false, reportOptionalSubscript=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false"""


def functions(graph: Graph, helpers: Collection[str]) -> list[EmittedClass]:
    """A function for each structure, the network's own last."""
    return form_classes(
        graph, build_tree(graph, KERAS), KERAS, helpers, lambda cls: resolve_class(graph, cls)
    )


def _targets(parts: list[TreeNode]) -> Iterator[str]:
    """What the layers of a function are built by."""
    for part in flatten(parts):
        match part:
            case LayerCall(module=module):
                yield from (step.target for step in module.layers)
            case MergeCall(merge=Merge(module=Module(target=target))):
                yield target
            case _:
                pass


HELPERS = ("activation", "conv", "merge", "norm", "pool", "shape")
"""The families of which Keras lacks a layer."""

_OTHERS = {
    r"\breduce\(": "from functools import reduce",
    r"\boperator\.": "import operator",
    r"\bnp\.": "import numpy as np",
    r"\bkeras\.": "import keras",
}


def imports(body: str) -> str:
    """The imports that the text needs, in the order that linters want."""
    body = code_only(body)
    needs = {line for pattern, line in _OTHERS.items() if re.search(pattern, body)}
    standard = [
        *standard_imports(body),
        *(needs & {"from functools import reduce", "import operator"}),
    ]
    standard.sort(key=lambda line: (line.startswith("from"), line.split()[1]))
    names = ", ".join(
        name for name in ("KerasTensor", "layers", "ops") if re.search(rf"\b{name}\b", body)
    )
    others = sorted(needs - set(standard), key=lambda line: line.split()[1])
    return "\n".join([*standard, "", *others, *([f"from keras import {names}"] if names else [])])


def function_source(cls: EmittedClass, paths: Paths, taken: Collection[str]) -> str:
    """A block's function."""
    body = Body(cls, paths, taken)
    count = len(cls.example.outputs)
    result = "KerasTensor" if count == 1 else f"tuple[{', '.join(['KerasTensor'] * count)}]"
    parameters = [
        *(f"{name}: KerasTensor" for name in body.inputs),
        *_parameters(cls),
        "*",
        "name: str",
    ]
    lines = function_header(f"def {cls.name}", parameters, f" -> {result}:", 0)
    return "\n".join([*lines, *docstring_lines(cls.scope.doc or describe(cls)), *body.returned(4)])


def _parameters(cls: EmittedClass) -> list[str]:
    return [parameter_declaration(param.name, param.values, param.default) for param in cls.params]


def network_source(cls: EmittedClass, graph: Graph, paths: Paths, taken: Collection[str]) -> str:
    """The network's function."""
    always = [h for h in graph.heads if not h.train_only]
    body = Body(cls, paths, taken, whole=True, late=train_only_outputs(graph))
    shapes = (_shown(graph.nodes[index].shape) for index in (0, graph.heads[0].node))
    shape, given = graph.input, literal(paths.layer(graph.nodes[0]))
    lines = function_header(
        f"def {cls.name}", [*_parameters(cls), "*", "train: bool = False"], " -> keras.Model:", 0
    )
    lines += docstring_lines(f"The whole network, from {' to '.join(shapes)}.")
    lines.append(f"    inputs = keras.Input({literal((*shape[1:], shape[0]))}, name={given})")
    lines += body.lines(0, body.early, 4)
    model = f"keras.Model(inputs, %s, name={literal(allowed_name(graph.name))})"
    values = [body.value(h.node) for h in always]
    result = values[0] if len(values) == 1 else f"[{', '.join(values)}]"
    lines += ["    if not train:", f"        return {model % result}"]
    lines += body.lines(body.early, len(body.steps), 4)
    return "\n".join([*lines, *_heads(graph.heads, body, "return " + model)])


def _shown(shape: tuple[int, ...]) -> str:
    return format_shape((*shape[1:], shape[0]))


def _heads(heads: tuple[Head, ...], body: Body, model: str) -> list[str]:
    """The return of a dict by head."""
    pairs = [f"{literal(head.name)}: {body.value(head.node)}" for head in heads]
    line = f"    {model % ('{' + ', '.join(pairs) + '}')}"
    if len(line) <= WIDTH:
        return [line]
    rows = [f"        {pair}," for pair in pairs]
    rows = [row + "  # noqa: E501" * (display_width(row) > WIDTH) for row in rows]
    return ["    heads = {", *rows, "    }", f"    {model % 'heads'}"]


def helper_sources() -> dict[str, str]:
    """The text of each helper by its name, in one, two and three dimensions."""
    return packaged.helper_sources(
        "archspec_keras", "2D", [f"helpers/{family}.py" for family in HELPERS]
    )


def loader(name: str, graph: Graph, paths: Paths) -> str:
    """`build_model`, and how the spec's names become those of layers."""
    _, _, *functions, load, build = template_blocks("archspec_keras", "template.py")
    roles = dict_literal("ROLES", ROLES)
    if paths.renamed:
        roles = f"{dict_literal('RENAMED', paths.renamed)}\n{roles}"
    else:
        parts = '"-".join(RENAMED.get(part, part) for part in path.split("."))'
        functions = [text.replace(parts, 'path.replace(".", "-")') for text in functions]
    unused = train_only_prefixes(graph)
    if unused:
        roles = f"{_train_only(unused)}\n{roles}"
    else:
        load = load.replace(
            'faults += [] if name.startswith(TRAIN_ONLY) else [f"{name} is unexpected"]',
            'faults.append(f"{name} is unexpected")',
        )
    text = "\n\n\n".join([roles, *functions, load, build])
    return re.sub(r"\bnetwork\(train", f"{name}(train", text)


def _train_only(prefixes: tuple[str, ...]) -> str:
    line = f"TRAIN_ONLY = {literal(prefixes)}"
    if len(line) <= WIDTH:
        return line
    rows = [f"    {literal(prefix)}," for prefix in prefixes]
    return "\n".join(["TRAIN_ONLY = (", *rows, ")"])
