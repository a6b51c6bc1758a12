"""A spec from its file to a checked graph.

>>> spec = load("lenet5")
>>> spec.graph.input
(1, 32, 32)
"""

from __future__ import annotations

import gc
import hashlib
import os
import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

from archspec.checks import check_graph
from archspec.diagnostics import Diagnostic, Report, Source, SpecError, quote
from archspec.document import Document
from archspec.graph import Graph
from archspec.spec.files import Files, find
from archspec.spec.network import read_network
from archspec.spec.tree import Map, Scalar, from_python, height
from archspec.spec.variant import change
from archspec.spec.yaml import MAX_DEPTH, read
from archspec.types import LIMIT

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


def load(
    spec: str | os.PathLike[str],
    *,
    sets: Iterable[str] = (),
    include: Iterable[str | os.PathLike[str]] = (),
    **args: Any,
) -> Spec:
    """The checked spec of a file, or of a shipped spec by its name; raises `SpecError` with every diagnostic.

    `args` give the network's arguments values, `sets` are overrides as on the command line, `include` are folders
    that `extends` may reach besides the spec's own.
    """
    found, diagnostics = check(spec, sets=sets, include=include, **args)
    if found is None:
        raise SpecError(diagnostics)
    return found


def check(
    spec: str | os.PathLike[str],
    *,
    sets: Iterable[str] = (),
    include: Iterable[str | os.PathLike[str]] = (),
    **args: Any,
) -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """As `load`, and gives the diagnostics instead of raising them; the spec is None where one is an error."""
    report = Report()
    try:
        with _uncollected():
            found = _read(spec, [*sets], [Path(folder) for folder in include], args, report)
    except SpecError:  # the report is full
        found = None
    return found, report.diagnostics


@contextmanager
def _uncollected() -> Generator[None]:
    """While a large tree grows, the garbage collector only walks it over and over: two thirds of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(
    spec: str | os.PathLike[str], sets: list[str], include: list[Path], args: Mapping[str, Any], report: Report
) -> Spec | None:
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
        report.error("AS0105", tree.source.start, f"once overridden, the spec is nested more than {MAX_DEPTH} deep")
        return None
    facts = read_network(tree, path.stem, report, overridden=bool(sets or args))
    if facts is None or report.failed:
        return None
    check_graph(facts, report)
    if report.failed:
        return None
    digest = hashlib.sha256(b"\0".join([*files.texts, repr([sets, sorted(args.items())]).encode()])).hexdigest()
    return Spec(str(path), facts.graph.name, facts.graph, facts.document, digest, tree, report.diagnostics)


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
        report.error("AS0002", whole, f"an override reads ADDRESS=VALUE, found {quote(text)}", help=help)
        return
    met = report.met
    wanted = read(source, report, start=len(address) + 1)
    if wanted is not None and report.met == met:
        change(tree, "set", Scalar(address, address, source, (1, 1), (1, len(address) + 1)), wanted, report)
