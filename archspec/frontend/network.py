"""A whole spec, from its tree to its graph and sections: the order in which the parts are read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError

from archspec.diagnostics import Report, Source, Span, SpecError, quote
from archspec.frontend.argument_parser import evaluate
from archspec.frontend.arguments import check_name, coerce, infer_type
from archspec.frontend.blocks import Blocks, read_blocks
from archspec.frontend.body_parser import BodyParser
from archspec.frontend.elaborate import Elaborator
from archspec.frontend.graph_builder import GraphBuilder
from archspec.frontend.heads import Heads
from archspec.frontend.input_shape import read_input
from archspec.frontend.legal_inputs import NearestInputs
from archspec.frontend.pool_coverage import report_uncovered_pools
from archspec.frontend.pydantic_errors import report_validation_error, span_finder
from archspec.frontend.recursion import find_cycles
from archspec.frontend.stated_inputs import StatedInputs
from archspec.frontend.step import POISON, Argument, Body
from archspec.frontend.step_keys import check_keys
from archspec.frontend.tree import (
    Tree,
    YamlList,
    YamlMap,
    YamlScalar,
    describe_tree,
    is_null,
    to_python,
)
from archspec.ir.check_input import CheckInput
from archspec.ir.document import Document, HeadSection
from archspec.ir.expr import ExprError
from archspec.ir.graph import Graph, Head, Scope
from archspec.ir.synonyms import suggest_op
from archspec.ir.types import Shape
from archspec.ops import OPS

VERSION = 1
MAX_TRIAL_WORK = 100_000
"""The work of building the network once more at another input."""
MAX_UNREAD = 2**31
"""Errors of a report that nobody reads: it never stops."""
SPEC_KEYS = (
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
REQUIRED_KEYS = ("archspec", "input", "network")
COMPUTED = ("heads", "preprocess", "init", "train")
"""Sections whose values may be expressions over the network's arguments."""


def read_network(
    tree: YamlMap,
    default_name: str,
    report: Report,
    stated_inputs: Mapping[Source, YamlMap],
    *,
    overridden: bool = False,
    check_outputs: bool = False,
) -> CheckInput | None:
    """Return the graph and sections of a spec; None if it has an error, which is reported.

    `stated_inputs` are the `input` and `args` of each file that the tree comes from.
    """
    _check_spec_keys(tree, report)
    args = _args(tree.get("args"), report)
    values = {name: argument.constant for name, argument in args.items()}
    parser = BodyParser(report, {}, frozenset(args))
    blocks = read_blocks(tree.get("blocks"), parser)
    body = _body(tree, parser)
    document = _document(tree, parser, values)
    shape, sizes = read_input(tree, parser, values)
    if document is not None:
        _check_init_ops(tree, document, report)
    if find_cycles(blocks.blocks, report) or tree.get("network") is None:
        return None
    forms = document.heads if document else None
    heads = Heads(forms, blocks.blocks, tree.get("heads"), report)
    title = _title(tree, default_name)
    root = Scope(title, "network", tree.span, args=values)
    inputs = StatedInputs(_other_inputs(stated_inputs, shape), sizes, check_outputs)
    elaborator = Elaborator(report, blocks.blocks, root, heads, inputs)

    build_at = partial(_at_other_input, body, root, blocks, forms, tree)
    elaborator.graph.legal_inputs = NearestInputs(shape, build_at)
    frame, value = elaborator.network(body, shape, sizes)
    outputs = heads.outputs(value, frame, elaborator.row_unknown)
    inputs.report_unchecked(shape, report)
    if report.failed or value is None or document is None:
        return None
    built = elaborator.graph
    stated = {source: build_at(other) for source, other in inputs.others.items()}
    report_uncovered_pools(built, stated, inputs.others, report)
    graph = _graph(title, built, outputs, decisive=_names_of_heads(tree, parser))
    used = parser.used | {form.block for form in document.heads.values()}
    find_span = span_finder(tree)
    return CheckInput(
        graph,
        document,
        tuple(_unused_arguments(args, blocks, parser.read_names)),
        tuple(_unused_blocks(tree, blocks, used)),
        {name: find_span(("heads", name, "classes"), False) for name in document.heads},
        _errata(tree),
        tree.key("claims").span if tree.get("claims") else tree.source.start,
        find_span,
        overridden,
    )


def _graph(
    title: str, built: GraphBuilder, outputs: tuple[Head, ...], decisive: frozenset[str]
) -> Graph:
    """Return what was built as a graph; `decisive` are arguments that decide its heads."""
    return Graph(
        title,
        tuple(built.nodes),
        outputs,
        built.root,
        built.root.args,
        tuple(built.claims),
        decisive.union(built.decisive),
        frozenset[str]().union(*(influence.positions for influence in built.influences)),
    )


def _body(tree: YamlMap, parser: BodyParser) -> Body:
    network = tree.get("network")
    if isinstance(network, YamlMap):
        # `network: {table: ...}` is a list of one step.
        network = YamlList([network], network.source, network.start, network.end)
    return parser.body(network, parser.globals | {"in"})


def _title(tree: YamlMap, default_name: str) -> str:
    name = tree.get("name")
    if isinstance(name, YamlScalar) and name.value is not None:
        return str(name.value)
    return default_name


# What the checks are told


def _unused_arguments(
    args: Mapping[str, Argument], blocks: Blocks, read_names: set[str]
) -> list[tuple[str, Span]]:
    """Return the network's and the blocks' arguments that no expression reads."""
    reads = read_names.union(*blocks.reads.values())
    unused = [(name, arg.key_span) for name, arg in args.items() if name not in reads]
    for block in blocks.blocks.values():
        reads = blocks.reads[block.name]
        unused += [(p.name, p.span) for p in block.parameters.values() if p.name not in reads]
    return unused


def _unused_blocks(tree: YamlMap, blocks: Blocks, used: set[str | None]) -> list[tuple[str, Span]]:
    """Return the blocks of this file that no step or head names; a base's may serve others."""
    return [
        (block.name, block.span)
        for block in blocks.blocks.values()
        if block.name not in used and block.span.source is tree.source
    ]


def _errata(tree: YamlMap) -> dict[str, Span]:
    claims = tree.get("claims")
    errata = claims.get("errata") if isinstance(claims, YamlMap) else None
    return {key.text: key.span for key, _ in errata} if isinstance(errata, YamlMap) else {}


# The parts of the tree


def _check_spec_keys(tree: YamlMap, report: Report) -> None:
    """Report unknown and missing keys, another version of the language, and a wrong name."""
    check_keys(tree, SPEC_KEYS, report, noun="keys")
    missing = [key for key in REQUIRED_KEYS if is_null(tree.get(key))]
    if missing:
        help = f"a spec begins with `archspec: {VERSION}`" if "archspec" in missing else ""
        message = f"the spec has no {' and no '.join(map(quote, missing))}"
        report.error("AS0201", tree.source.start, message, help=help)
    version = tree.get("archspec")
    # `repr` tells 1 from true and from 1.0.
    if version and not is_null(version) and repr(to_python(version)) != repr(VERSION):
        message = f"unknown version of the language: {describe_tree(version)}"
        help = f"this archspec reads version {VERSION}"
        report.error("AS0205", version.span, message, help=help)
    name = tree.get("name")
    if name is not None and not _is_title(name):
        report.error("AS0204", name.span, f"`name` is a text, found {describe_tree(name)}")


def _is_title(name: Tree) -> bool:
    return isinstance(name, YamlScalar) and (name.value is None or bool(str(name.value).strip()))


def _check_init_ops(tree: YamlMap, document: Document, report: Report) -> None:
    for kind in document.init:
        if kind not in OPS:
            span = span_finder(tree)(("init", kind), True)
            help = suggest_op(kind, OPS)
            report.error("AS0203", span, f"unknown op {quote(kind)}", help=help)


def _args(tree: Tree | None, report: Report) -> dict[str, Argument]:
    """Return the network's arguments. `overrides` keeps the type of each to that of its default."""
    args: dict[str, Argument] = {}
    if tree is None or is_null(tree):
        return args
    if not isinstance(tree, YamlMap):
        message = f"`args` maps names to their values, found {describe_tree(tree)}"
        report.error("AS0204", tree.span, message)
        return args
    for key, value in tree:
        if not check_name(key, len(args), report):
            continue
        name = quote(key.text)
        if not isinstance(value, YamlScalar) or value.value is None:
            message = f"{name} is a number, a text or a bool, found {describe_tree(value)}"
            report.error("AS0204", value.span, message)
            continue
        try:
            constant = coerce(infer_type(value.value), value.value)
        except ExprError as error:
            report.error(error.code, value.span, f"{name}: {error.message}", help=error.help)
        else:
            args[key.text] = Argument(key.span, value, constant=constant)
    return args


def _other_inputs(
    stated_inputs: Mapping[Source, YamlMap], shape: Shape | None
) -> dict[Source, Shape]:
    """Return the inputs of the files that state another one than `shape`."""
    others: dict[Source, Shape] = {}
    for source, file in stated_inputs.items() if shape else ():
        unread = Report(limit=MAX_UNREAD)
        args = _args(file.get("args"), unread)
        parser = BodyParser(unread, {}, frozenset(args))
        values = {name: argument.constant for name, argument in args.items()}
        stated, _ = read_input(file, parser, values)
        if stated is not None and stated != shape:
            others[source] = stated
    return others


def _at_other_input(
    body: Body,
    root: Scope,
    blocks: Blocks,
    forms: Mapping[str, HeadSection] | None,
    tree: YamlMap,
    shape: Shape,
) -> GraphBuilder:
    """Return the network at another input, as far as it can be built; nobody reads its errors."""
    unread = Report(limit=MAX_UNREAD)
    heads = Heads(forms, blocks.blocks, tree.get("heads"), unread)
    elaborator = Elaborator(unread, blocks.blocks, root, heads, StatedInputs(ignored=True))
    elaborator.graph.max_work = MAX_TRIAL_WORK
    with suppress(SpecError):  # the budget is spent
        elaborator.network(body, shape)
    return elaborator.graph


def _document(tree: YamlMap, parser: BodyParser, values: Mapping[str, Any]) -> Document | None:
    """Return the validated sections; None where one has an error."""
    sections: dict[str, Any] = {}
    for name in Document.model_fields:
        section = tree.get(name)
        if section is None or is_null(section):
            continue
        if name in COMPUTED:
            argument = parser.argument(tree.key(name).span, section, parser.globals)
            sections[name] = evaluate(argument, values, parser.report)
        else:
            sections[name] = to_python(section)
    computed = {name: value for name, value in sections.items() if value is not POISON}
    document = _validate(computed, tree, parser.report)
    return document if len(computed) == len(sections) else None


def _names_of_heads(tree: YamlMap, parser: BodyParser) -> frozenset[str]:
    """Return the arguments that decide which heads there are, and where."""
    heads = tree.get("heads")
    if not isinstance(heads, YamlMap):
        return frozenset()
    return frozenset[str]().union(
        *(
            parser.argument(key.span, value, parser.globals).names_read()
            for _, head in heads
            if isinstance(head, YamlMap)
            for key, value in head
            if key.text in ("block", "from", "only")
        )
    )


def _validate(value: Any, tree: Tree, report: Report) -> Document | None:
    """Return the sections as their models; report what does not fit."""
    try:
        return Document.model_validate(value)
    except ValidationError as error:

        def fail(code: str, span: Span, message: str, help: str) -> None:
            # A missing key of a section is AS0201; of an op it is AS0207.
            report.error("AS0201" if code == "AS0207" else code, span, message, help=help)

        model: type[BaseModel] = Document
        report_validation_error(error, model, "the spec", span_finder(tree), fail)
        return None
