"""A whole spec's tree to its graph and sections: the order in which the parts are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from archspec.diagnostics import Report, Span, did_you_mean, quote
from archspec.frontend.arguments import coerce, nameable, type_of
from archspec.frontend.blocks import read_blocks
from archspec.frontend.body_parser import BodyReader
from archspec.frontend.elaborate import Elaborator
from archspec.frontend.heads import Heads
from archspec.frontend.pydantic_errors import explain, in_tree
from archspec.frontend.recursion import find_cycles
from archspec.frontend.step import Argument, Broken, Located
from archspec.frontend.tree import List, Map, Scalar, Tree, data, describe, is_null
from archspec.ir.check_input import CheckInput
from archspec.ir.document import Document
from archspec.ir.expr import ExprError
from archspec.ir.graph import Graph, Scope
from archspec.ir.types import Shape
from archspec.ops import OPS

VERSION = 1
KEYS = (
    "archspec",
    "name",
    "extends",
    "edit",
    "input",
    "args",
    "blocks",
    "network",
    *Document.model_fields,
)
COMPUTED = ("heads", "preprocess", "init", "train")
"""Sections whose values may be expressions over the network's arguments."""


def read_network(
    tree: Map, default_name: str, report: Report, *, overridden: bool = False
) -> CheckInput | None:
    """The graph and sections of a spec; None where an error keeps it from being one, and the report says which."""
    _keys(tree, report)
    args = _args(tree.get("args"), report)
    values = {name: argument.constant for name, argument in args.items()}
    reader = BodyReader(report, {}, frozenset(args))
    blocks = read_blocks(tree.get("blocks"), reader)
    network = tree.get("network")
    if isinstance(network, Map):  # `network: {table: ...}` is a list of one step
        network = List([network], network.source, network.start, network.end)
    body = reader.body(network, reader.globals | {"in"})
    document = _document(tree, reader, values)
    shape = _input(tree, reader, values)
    for kind in document.init if document else ():
        if kind not in OPS:
            place = in_tree(tree)(("init", kind), True)
            report.error(
                "AS0203", place, f"unknown op {quote(kind)}", help=did_you_mean(kind, OPS, "ops")
            )
    cyclic = find_cycles(blocks.blocks, report)
    if cyclic or network is None:
        return None
    name = tree.get("name")
    title = str(name.value) if isinstance(name, Scalar) and name.value is not None else default_name
    heads = Heads(document.heads if document else None, tree.get("heads"), report)
    build = Elaborator(
        report, blocks.blocks, Scope(title, "network", tree.span, args=values), heads
    )
    frame, value = build.network(body, shape)
    outputs = heads.outputs(value, frame, build.lost)
    if report.failed or value is None or document is None:
        return None
    graph = Graph(title, tuple(build.nodes), outputs, build.root, values, tuple(build.claims))
    reads = reader.read_names.union(*blocks.reads.values())
    unused = [(name, argument.key) for name, argument in args.items() if name not in reads]
    for block in blocks.blocks.values():
        unused += [
            (p.name, p.span)
            for p in block.parameters.values()
            if p.name not in blocks.reads[block.name]
        ]
    used = reader.used | {form.block for form in document.heads.values()}
    idle = [
        (b.name, b.span)
        for b in blocks.blocks.values()
        if b.name not in used and b.span.source is tree.source
    ]
    section = tree.get("claims")
    errata = section.get("errata") if isinstance(section, Map) else None
    return CheckInput(
        graph,
        document,
        tuple(unused),
        tuple(idle),
        {name: in_tree(tree)(("heads", name, "classes"), False) for name in document.heads},
        {key.text: key.span for key, _ in errata} if isinstance(errata, Map) else {},
        tree.key("claims").span if section else tree.source.start,
        overridden,
    )


def _keys(tree: Map, report: Report) -> None:
    for key, _ in tree:
        if key.text not in KEYS:
            report.error(
                "AS0202",
                key.span,
                f"unknown key {quote(key.text)}",
                help=did_you_mean(key.text, KEYS, "keys"),
            )
    missing = [key for key in ("archspec", "input", "network") if is_null(tree.get(key))]
    if missing:
        help = f"a spec begins with `archspec: {VERSION}`" if "archspec" in missing else ""
        message = f"the spec has no {' and no '.join(map(quote, missing))}"
        report.error("AS0201", tree.source.start, message, help=help)
    version = tree.get("archspec")
    if (
        version is not None and "archspec" not in missing and repr(data(version)) != repr(VERSION)
    ):  # true is not 1 here
        help = f"this archspec reads version {VERSION}"
        report.error(
            "AS0205",
            version.span,
            f"unknown version of the language: {describe(version)}",
            help=help,
        )
    name = tree.get("name")
    named = isinstance(name, Scalar) and (name.value is None or str(name.value).strip())
    if name is not None and not named:
        report.error("AS0204", name.span, f"`name` is a text, found {describe(name)}")


def _args(tree: Tree | None, report: Report) -> dict[str, Argument]:
    """The network's arguments; an override has to be of the default's type, which `variant` keeps by name."""
    found: dict[str, Argument] = {}
    if tree is None or is_null(tree):
        return found
    if not isinstance(tree, Map):
        report.error(
            "AS0204", tree.span, f"`args` maps names to their values, found {describe(tree)}"
        )
        return found
    for key, value in tree:
        if not nameable(key, len(found), report):
            continue
        if not isinstance(value, Scalar) or value.value is None:
            report.error(
                "AS0204",
                value.span,
                f"{quote(key.text)} is a number, a text or a bool, found {describe(value)}",
            )
        else:
            try:
                constant = coerce(type_of(value.value), value.value)
                found[key.text] = Argument(key.span, value, constant=constant)
            except ExprError as error:
                report.error(
                    error.code, value.span, f"{quote(key.text)}: {error.message}", help=error.help
                )
    return found


def _input(tree: Map, reader: BodyReader, values: Mapping[str, Any]) -> Shape | None:
    stated, report = tree.get("input"), reader.report
    if stated is None or is_null(stated):
        return None
    value = _value(reader.argument(tree.key("input").span, stated, reader.globals), values, report)
    if value is Broken:
        return None
    sizes: list[Any] = cast("list[Any]", value) if isinstance(value, list) else []
    if not isinstance(stated, List) or not 1 <= len(sizes) <= 4:
        message = f"`input` is one sample's shape, as in [3, 224, 224], found {describe(stated)}"
        help = "C, C,L, C,H,W or C,D,H,W: channels first, no batch axis"
        report.error("AS0204", stated.span, message, help=help)
        return None
    shape: list[int] = []
    for size, item in zip(sizes, stated.items, strict=True):
        try:
            shape.append(coerce("int", size))
        except ExprError as error:
            report.error(
                error.code, item.span, f"an axis of the input: {error.message}", help=error.help
            )
            continue
        if shape[-1] < 1:
            report.error("AS0205", item.span, f"an axis of the input is at least 1, found {size}")
            shape.pop()
    return tuple(shape) if len(shape) == len(sizes) else None


def _document(tree: Map, reader: BodyReader, values: Mapping[str, Any]) -> Document | None:
    """The sections as data, validated."""
    sections: dict[str, Any] = {}
    for name in Document.model_fields:
        section = tree.get(name)
        if section is None or is_null(section):
            continue
        if name in COMPUTED:
            argument = reader.argument(tree.key(name).span, section, reader.globals)
            sections[name] = _value(argument, values, reader.report)
        else:
            sections[name] = data(section)
    known = {name: section for name, section in sections.items() if section is not Broken}
    document = validated(Document, known, tree, "the spec", reader.report)
    return document if len(known) == len(sections) else None


def _value(argument: Argument, values: Mapping[str, Any], report: Report) -> Any:
    """An argument's value; Broken, with the error reported, where it has none."""
    try:
        return argument.value(values)
    except Located as error:
        error.report(report)
        return Broken


def validated(
    model: type[Document], value: Any, tree: Tree, what: str, report: Report
) -> Document | None:
    """A section of the spec as its model, with what does not fit reported."""
    try:
        return model.model_validate(value)
    except ValidationError as error:

        def fail(code: str, span: Span, message: str, help: str) -> None:
            report.error("AS0201" if code == "AS0207" else code, span, message, help=help)

        wanted: type[BaseModel] = model
        explain(error, wanted, what, in_tree(tree), fail)
        return None
