"""Backends that make a mistake: in their graph, in the source they emit, in a model's file.

A mutation that changes nothing is refused: it would prove nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from archspec.backend import Backend, Provenance
from archspec.ir.graph import Graph

Mutation = Callable[[Backend], Backend]
Files = Mapping[str, bytes]


def of_graph(change: Callable[[Graph], Graph]) -> Mutation:
    """The backend emits another graph than it is given."""

    def mutation(backend: Backend) -> Backend:
        def emit(
            graph: Graph, about: Provenance, weights: Path | None = None, /, **options: Any
        ) -> Files:
            changed = change(graph)
            assert str(changed) != str(graph), "the mutation does not touch this graph"
            return backend.emit(changed, about, weights, **options)

        return replace(backend, emit=emit)

    return mutation


def fields(**values: Any) -> Mutation:
    """Every op that has these fields gets these values for them."""

    def change(graph: Graph) -> Graph:
        nodes = [
            replace(node, op=node.op.model_copy(update=values))
            if set(values) <= set(type(node.op).model_fields)
            else node
            for node in graph.nodes
        ]
        return replace(graph, nodes=tuple(nodes))

    return of_graph(change)


def of_files(change: Callable[[Files], Files]) -> Mutation:
    """Something is changed in what the backend emits."""

    def mutation(backend: Backend) -> Backend:
        def emit(
            graph: Graph, about: Provenance, weights: Path | None = None, /, **options: Any
        ) -> Files:
            files = backend.emit(graph, about, weights, **options)
            changed = change(files)
            assert changed != files, "the mutation does not touch these files"
            return changed

        return replace(backend, emit=emit)

    return mutation


def built_with(mutation: Mutation, **options: Any) -> Mutation:
    """The backend builds with these options, and makes that mistake."""

    def both(backend: Backend) -> Backend:
        def emit(
            graph: Graph, about: Provenance, weights: Path | None = None, /, **given: Any
        ) -> Files:
            return backend.emit(graph, about, weights, **(given | options))

        return mutation(replace(backend, emit=emit))

    return both


def text(pattern: str, by: str, more: str = "") -> Mutation:
    """Replace every match of a pattern in the emitted module; put `more` before its first class."""

    def change(files: Files) -> Files:
        source, count = re.subn(pattern, by, files["model.py"].decode())
        assert count, f"no {pattern} in the source"
        at = source.index("\n\n\n") + 2
        return {**files, "model.py": f"{source[:at]}{more}{source[at:]}".encode()}

    return of_files(change)


def instead_of(module: str, source: str) -> Mutation:
    """The class `Wrong` takes the place of one of the framework's; `source` is its text."""
    return text(
        rf"\b{re.escape(module)}\b",
        "Wrong",
        f"import torch\nimport torch.nn.functional as F\n\n{source}\n",
    )


def of_model(change: Callable[[ModelProto], None]) -> Mutation:
    """The emitted ONNX model is changed in place."""

    def rewritten(files: Files) -> Files:
        model = onnx.load_model_from_string(files["model.onnx"])
        change(model)
        return {**files, "model.onnx": model.SerializeToString()}

    return of_files(rewritten)


def attribute(op: str, **values: Any) -> Mutation:
    """Every ONNX node of that kind gets these attributes."""

    def change(model: ModelProto) -> None:
        for node in model.graph.node:
            if node.op_type == op:
                for name, value in values.items():
                    kept = [found for found in node.attribute if found.name != name]
                    del node.attribute[:]
                    node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])

    return of_model(change)
