"""A spec from its file to a graph, with what the overrides change; the checks come after.

>>> from archspec.diagnostics import Report
>>> spec, _ = read_spec("lenet5", [], [], {}, Report())
>>> spec.graph.input
(1, 32, 32)
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import index
from pathlib import Path
from typing import Any

from archspec.analysis.stats import Stats, stats
from archspec.diagnostics import Diagnostic, Report, Source, quote
from archspec.frontend.files import Files, find
from archspec.frontend.network import read_network
from archspec.frontend.overrides import change
from archspec.frontend.tree import Map, Scalar, from_python, height
from archspec.frontend.yaml import MAX_DEPTH, read
from archspec.ir.check_input import CheckInput
from archspec.ir.document import Document
from archspec.ir.graph import Graph
from archspec.ir.types import LIMIT

_SET = re.compile(r"""((?:[^="']|"[^"]*"|'[^']*')*)(=)(.*)""", re.DOTALL)
"""ADDRESS=VALUE; an equals sign between quotes belongs to the address."""


@dataclass(frozen=True, eq=False)
class Spec:
    """A spec that has been checked: its graph, the sections around it, and what was warned of.

    `sha256` is of the files it came from and the overrides, so that equal specs have equal hashes.
    """

    path: str
    name: str
    graph: Graph
    document: Document
    sha256: str
    tree: Map
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def args(self) -> Mapping[str, Any]:
        """The network's arguments and their values."""
        return self.graph.args

    @cached_property
    def stats(self) -> Stats:
        """The counts of the network for one sample, computed once."""
        return stats(self)


def read_spec(
    spec: str | os.PathLike[str],
    sets: list[str],
    include: list[Path],
    args: Mapping[str, Any],
    report: Report,
) -> tuple[Spec, CheckInput] | None:
    """Return the spec, not yet checked, and what the checks read; None where the report says why there is none."""
    path = find(spec)
    files = Files(report, include)
    tree = files.tree(path)
    if tree is None:
        return None
    for text in sets:
        override(tree, text, report)
    for name, value in args.items():
        value = _plain(value)
        source = Source("arguments", f"{name}={value}")
        key = Scalar(name, name, source, (1, 1), (1, len(name) + 1))
        change(tree, "set", key, from_python(value, source, len(name) + 2), report, ["args", name])
    if (sets or args) and height(tree) > MAX_DEPTH:
        report.error(
            "AS0105",
            tree.source.start,
            f"once overridden, the spec is nested more than {MAX_DEPTH} deep",
        )
        return None
    network = read_network(tree, path.stem, report, overridden=bool(sets or args))
    if network is None or report.failed:
        return None
    texts = [*files.texts, repr([sets, sorted(args.items())]).encode()]
    digest = hashlib.sha256(b"\0".join(texts)).hexdigest()
    return Spec(
        str(path), network.graph.name, network.graph, network.document, digest, tree
    ), network


def _plain(value: Any) -> Any:
    """An argument as YAML could give it: numpy's integers as ints, and no more digits than it takes to be refused."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return value
    return max(-2 * LIMIT, min(index(value), 2 * LIMIT))


def override(tree: Map, text: str, report: Report) -> None:
    """Carries out one `--set ADDRESS=VALUE`; the value is YAML."""
    source = Source("--set", text)
    match = _SET.fullmatch(text)
    address, equals, _ = match.groups() if match else text.partition("=")
    if not equals or not address.strip():
        whole = source.span(1, 1, 1, len(text) + 1)
        help = "as in `--set classes=10` or `--set 'conv1.out=32'`"
        report.error(
            "AS0002", whole, f"an override reads ADDRESS=VALUE, found {quote(text)}", help=help
        )
        return
    met = report.error_count
    wanted = read(source, report, start=len(address) + 1)
    if wanted is not None and report.error_count == met:
        change(
            tree,
            "set",
            Scalar(address, address, source, (1, 1), (1, len(address) + 1)),
            wanted,
            report,
        )
