"""The `blocks` section: each block's arguments and body, read before any is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archspec.diagnostics import Report, quote
from archspec.frontend.arguments import read_parameters
from archspec.frontend.body_parser import BodyParser, invalid_step
from archspec.frontend.step import Block, Parameter
from archspec.frontend.step_keys import RESERVED_KEYS, STRUCTURES, check_keys
from archspec.frontend.tree import Tree, YamlMap, YamlScalar, describe_tree, is_null
from archspec.ops import OPS

BLOCK_KEYS = ("args", "body", "doc")


@dataclass(frozen=True)
class Blocks:
    """Blocks by name, and the arguments that each one's expressions read."""

    blocks: Mapping[str, Block]
    reads: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Declaration:
    """A block whose arguments have been read, and whose body has not."""

    key: YamlScalar
    tree: YamlMap
    parameters: dict[str, Parameter]
    read_names: set[str]


def read_blocks(tree: Tree | None, parser: BodyParser) -> Blocks:
    """Read every block; the parser knows their arguments from then on."""
    if not is_null(tree) and not isinstance(tree, YamlMap):
        message = f"`blocks` maps names to blocks, found {describe_tree(tree)}"
        assert tree is not None
        parser.report.error("AS0204", tree.span, message)
    # Bodies come second, so that a block may use one that is written after it.
    declarations = _declarations(tree, parser) if isinstance(tree, YamlMap) else []
    blocks: dict[str, Block] = {}
    reads: dict[str, frozenset[str]] = {}
    for declaration in declarations:
        parser.read_names = declaration.read_names
        block = _block(declaration, parser)
        blocks[block.name] = block
        reads[block.name] = frozenset(parser.read_names)
    parser.read_names = set()
    return Blocks(blocks, reads)


def _declarations(tree: YamlMap, parser: BodyParser) -> list[_Declaration]:
    parameters: dict[str, Mapping[str, Parameter] | None] = {}
    parser.parameters = parameters
    declarations: list[_Declaration] = []
    for key, value in tree:
        if not _check_name(key, parser.report):
            continue
        if not isinstance(value, YamlMap):
            parameters[key.text] = None
            message = f"a block is a mapping with `args` and `body`, found {describe_tree(value)}"
            parser.report.error("AS0204", value.span, message)
            continue
        check_keys(value, BLOCK_KEYS, parser.report, " in a block")
        if value.get("body") is None:
            message = f"the block {quote(key.text)} has no `body`"
            parser.report.error("AS0201", key.span, message)
        parser.read_names = set()
        declared = read_parameters(value.get("args"), parser, parser.globals)
        parameters[key.text] = declared
        declarations.append(_Declaration(key, value, declared, parser.read_names))
    return declarations


def _check_name(key: YamlScalar, report: Report) -> bool:
    """Return True if a block may have that name; report why not."""
    name = key.text
    if name in OPS or name in STRUCTURES or name in RESERVED_KEYS:
        noun = "an op" if name in OPS else "a key of steps"
        message = f"{quote(name)} is {noun}: a block needs a name of its own"
        report.error("AS0403", key.span, message)
        return False
    if not name.strip():
        report.error("AS0210", key.span, "a block needs a name")
        return False
    return True


def _block(declaration: _Declaration, parser: BodyParser) -> Block:
    tree = declaration.tree
    stated = tree.get("body")
    if stated is None:
        body = [invalid_step(tree)]
    else:
        body = parser.body(stated, {*parser.globals, *declaration.parameters, "in"})
    doc = tree.get("doc")
    if doc is not None and not (isinstance(doc, YamlScalar) and isinstance(doc.value, str)):
        message = f"`doc` is a text, found {describe_tree(doc)}"
        parser.report.error("AS0204", doc.span, message)
    text = doc.text if isinstance(doc, YamlScalar) else ""
    key = declaration.key
    return Block(key.text, key.span, declaration.parameters, body, text)
