"""Specs as text, read in a folder of their own; what is said of them, and the text under each
mark.
"""

from __future__ import annotations

import re
import tempfile
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from archspec.compiler import check
from archspec.diagnostics import Diagnostic, Span
from archspec.frontend.loader import Spec

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what YAML counts as the end of a line


def net(network: str = "- relu", *, input: str = "[3, 8, 8]", **sections: str) -> str:
    """A spec with that network; `sections` are the values of further keys, as YAML."""
    body = textwrap.indent(textwrap.dedent(network).strip("\n"), "  ")
    parts = [
        f"{key}:\n{textwrap.indent(textwrap.dedent(text).strip(chr(10)), '  ')}"
        for key, text in sections.items()
    ]
    return "\n".join(["archspec: 1", f"input: {input}", *parts, f"network:\n{body}", ""])


def read(
    text: str | bytes,
    *,
    sets: Iterable[str] = (),
    files: Mapping[str, str] | None = None,
    include: Iterable[str] = (),
    **args: Any,
) -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """Return what `check` gives for a spec of that text; `files` lie in the same folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {"spec.yaml": text, **(files or {})}.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return check(
            Path(folder) / "spec.yaml",
            sets=sets,
            include=[Path(folder) / name for name in include],
            **args,
        )


def good(text: str | bytes, **options: Any) -> Spec:
    """The spec, in which no error is found."""
    spec, found = read(text, **options)
    assert spec is not None, shown(found)
    assert {diagnostic.severity for diagnostic in found} <= {"warning", "note"}
    return spec


def found(text: str | bytes, **options: Any) -> list[tuple[str, str]]:
    """The code of each diagnostic and the text that it marks, in order."""
    return [(diagnostic.code, marked(diagnostic.span)) for diagnostic in read(text, **options)[1]]


def the(text: str | bytes, code: str, mark: str | None = None, **options: Any) -> Diagnostic:
    """The only diagnostic, which has that code and marks that text."""
    diagnostics = read(text, **options)[1]
    assert [d.code for d in diagnostics] == [code], shown(diagnostics)
    if mark is not None:
        assert marked(diagnostics[0].span) == mark, shown(diagnostics)
    return diagnostics[0]


def marked(span: Span) -> str:
    """The text under a span, its lines joined by newlines."""
    lines = _BREAK.split(span.source.text)[span.line - 1 : span.end_line]
    if not lines:
        return ""
    if span.line == span.end_line:
        return lines[0][span.column - 1 : span.end_column - 1]
    return "\n".join([lines[0][span.column - 1 :], *lines[1:-1], lines[-1][: span.end_column - 1]])


def paths(spec: Spec) -> list[str]:
    """The names of all layers, each with the scopes around it."""
    return [node.path for node in spec.graph.nodes[1:]]


def outline(spec: Spec) -> list[Any]:
    """Return every layer and the heads of a network, without their spans."""
    graph = spec.graph
    layers: list[Any] = [(node.path, node.op, node.inputs, node.shape) for node in graph.nodes]
    return [*layers, graph.heads]


def layers(spec: Spec) -> list[Any]:
    """Return the outline without names, to compare networks that are named differently."""
    return [(node.op, node.inputs, node.shape) for node in spec.graph.nodes]


def shown(diagnostics: Iterable[Diagnostic]) -> str:
    return "\n".join(f"{d.code} {marked(d.span)!r}: {d.message}" for d in diagnostics)
