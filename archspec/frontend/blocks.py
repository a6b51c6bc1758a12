"""The `blocks` section: each block's arguments and body, read before any is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archspec.diagnostics import did_you_mean, quote
from archspec.frontend.arguments import declarations
from archspec.frontend.body_parser import BodyReader, lost
from archspec.frontend.step import RESERVED, STRUCTURES, Block, Parameter
from archspec.frontend.tree import Map, Scalar, Tree, describe, is_null
from archspec.ops import OPS

KEYS = ("args", "body", "doc")


@dataclass(frozen=True)
class Blocks:
    """Blocks by name, and the arguments that each one's expressions read."""

    blocks: Mapping[str, Block]
    reads: Mapping[str, frozenset[str]]


def read_blocks(tree: Tree | None, reader: BodyReader) -> Blocks:
    """Reads every block; the reader knows their arguments from then on."""
    report = reader.report
    known: dict[str, Mapping[str, Parameter] | None] = {}
    reader.parameters = known
    forms: list[tuple[Scalar, Map, dict[str, Parameter], set[str]]] = []
    if tree is not None and not is_null(tree) and not isinstance(tree, Map):
        report.error("AS0204", tree.span, f"`blocks` maps names to blocks, found {describe(tree)}")
    for key, value in tree if isinstance(tree, Map) else ():
        name = key.text
        if name in OPS or name in (*STRUCTURES, *RESERVED):
            what = "an op" if name in OPS else "a key of steps"
            report.error(
                "AS0403", key.span, f"{quote(name)} is {what}: a block needs a name of its own"
            )
        elif not name.strip():
            report.error("AS0210", key.span, "a block needs a name")
        elif not isinstance(value, Map):
            known[name] = None
            report.error(
                "AS0204",
                value.span,
                f"a block is a mapping with `args` and `body`, found {describe(value)}",
            )
        else:
            for inner, _ in value:
                if inner.text not in KEYS:
                    help = did_you_mean(inner.text, KEYS)
                    report.error(
                        "AS0202",
                        inner.span,
                        f"unknown key {quote(inner.text)} in a block",
                        help=help,
                    )
            if value.get("body") is None:
                report.error("AS0201", key.span, f"the block {quote(name)} has no `body`")
            reader.read_names = set()
            known[name] = parameters = declarations(value.get("args"), reader, reader.globals)
            forms.append((key, value, parameters, reader.read_names))
    # Bodies come second, so that a block may use one that is written after it.
    blocks: dict[str, Block] = {}
    reads: dict[str, frozenset[str]] = {}
    for key, value, parameters, read in forms:
        reader.read_names = read
        stated = value.get("body")
        body = (
            [lost(value)]
            if stated is None
            else reader.body(stated, {*reader.globals, *parameters, "in"})
        )
        doc = value.get("doc")
        if doc is not None and not (isinstance(doc, Scalar) and isinstance(doc.value, str)):
            report.error("AS0204", doc.span, f"`doc` is a text, found {describe(doc)}")
        blocks[key.text] = Block(
            key.text, key.span, parameters, body, doc.text if isinstance(doc, Scalar) else ""
        )
        reads[key.text] = frozenset(reader.read_names)
    reader.read_names = set()
    return Blocks(blocks, reads)
