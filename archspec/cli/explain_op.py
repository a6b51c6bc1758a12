"""`archspec explain-op`: show what a layer of a spec becomes on each backend."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archspec.cli.common import add_override_arguments, print_note

if TYPE_CHECKING:
    from archspec.backend import Backend, Gap, TensorLayout
    from archspec.ir.graph import Graph, Node

HELP = "show what a layer becomes on each backend"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "location",
        metavar="LOCATION",
        help="SPEC:LINE, SPEC:LINE:COLUMN or SPEC:PATH; or the name of an op",
    )
    add_override_arguments(parser)
    parser.add_argument(
        "--backend", metavar="NAME", help="this one alone (default: every one that is installed)"
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="for people, or data"
    )


def execute(options: argparse.Namespace) -> int:
    from archspec.analysis.locate import group_equal
    from archspec.diagnostics.render import visible

    backends = _backends(options)
    graph, nodes, placed = _meant(options)
    lowered = [_Lowered(backend, graph) for backend in backends]
    entries = [_data(graph, group, lowered, placed) for group in group_equal(graph, nodes)]
    if options.format == "json":
        print(json.dumps(entries, indent=2))
        return 0
    for position, entry in enumerate(entries):
        if position:
            print()
        for line in _lines(entry):
            print(visible(line))
    return 0


def _backends(options: argparse.Namespace) -> list[Backend]:
    """Return the backend asked for, or all that are installed; raise `BackendError`."""
    from archspec.backend import BackendError, MissingFramework, available, load

    if options.backend is not None:
        return [load(options.backend)]
    backends: list[Backend] = []
    for name in sorted(available()):
        try:
            backends.append(load(name))
        except BackendError as error:
            print_note(f"note: {error}", options)
    if not backends:
        raise MissingFramework(
            "no backend's framework is installed", "pip install 'archspec-nn[all]'"
        )
    return backends


# Which layers are meant.


def _meant(options: argparse.Namespace) -> tuple[Graph, list[Node], bool]:
    """Return the network, the layers that LOCATION means, and True if their locations matter."""
    import re

    from archspec.analysis.locate import at_line, at_path
    from archspec.cli.common import load_spec

    path, place = _split(options.location)
    if not place:
        graph = _example(options.location)
        return graph, [graph.nodes[-1]], False
    spec = load_spec(argparse.Namespace(**{**vars(options), "spec": path}))
    if line := re.fullmatch(r"(\d{1,9})(?::(\d{1,9}))?", place):
        column = int(line[2]) if line[2] else None
        return spec.graph, at_line(spec.graph, spec.path, int(line[1]), column), True
    return spec.graph, at_path(spec.graph, place), True


def _split(text: str) -> tuple[str, str]:
    """Split SPEC:LOCATION at the first colon after a file's name; both may hold more colons."""
    ends = [at for at, letter in enumerate(text) if letter == ":"]
    end = next((at for at in ends if _is_spec(text[:at])), ends[0] if ends else len(text))
    return text[:end], text[end + 1 :]


def _is_spec(text: str) -> bool:
    from archspec.frontend.files import find_spec

    try:
        return find_spec(text).is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _example(kind: str) -> Graph:
    """Return a network of that op alone, as in the example of its documentation."""
    from archspec._files import scratch_folder
    from archspec.compiler import load
    from archspec.diagnostics import UsageError, quote
    from archspec.docgen.ops import use_of
    from archspec.equivalence.layer import layer_spec
    from archspec.ir.synonyms import suggest_op
    from archspec.ops import OPS

    if kind not in OPS:
        if _is_spec(kind):
            help = (
                f"say which layer: a line, as in {kind}:12, "
                f"or a path that `archspec show {kind} --graph` prints"
            )
        else:
            help = suggest_op(kind, OPS)
        raise UsageError(f"{quote(kind)} is no op, and names no layer", help)
    fields, inputs = use_of(OPS[kind])
    with scratch_folder() as folder:
        path = folder / "layer.yaml"
        path.write_text(layer_spec(kind, fields, *inputs), encoding="utf-8")
        return load(path).graph


# What is said of them.


def _data(
    graph: Graph, group: Sequence[Node], backends: Sequence[_Lowered], placed: bool
) -> dict[str, Any]:
    """Describe equal layers; tensor names and lowerings are those of the first."""
    node = group[0]
    return {
        "op": node.op.kind,
        "paths": [other.path for other in group],
        "locations": [*dict.fromkeys(str(other.span) for other in group)] if placed else [],
        "fields": node.op.model_dump(mode="json"),
        "inputs": [list(shape) for shape in graph.inputs(node)],
        "output": list(node.shape),
        "macs": node.op.macs(*graph.inputs(node)),
        "tensors": _tensors(graph, node),
        "backends": {on.backend.name: on.data(node) for on in backends},
    }


@dataclass(frozen=True)
class _Lowered:
    """A network on one backend."""

    backend: Backend
    graph: Graph

    @cached_property
    def gaps(self) -> dict[str, Gap]:
        from archspec.docgen.support import gaps

        used = {node.op.kind for node in self.graph.nodes[1:]}
        return {kind: gap for kind, gap in gaps(self.backend).items() if kind in used}

    @cached_property
    def natives(self) -> Mapping[str, TensorLayout]:
        from archspec.backend import attributed

        with attributed(self.backend.name, "naming its tensors"):
            return self.backend.tensor_layout(self.graph)

    def _explain(self, node: Node) -> str:
        from archspec.backend import attributed, lowering

        with attributed(self.backend.name, "explaining a layer"), lowering(node):
            return self.backend.explain(self.graph, node)

    def data(self, node: Node) -> dict[str, Any]:
        """Describe a layer on this backend, or why it or its network cannot be lowered."""
        for kind in (node.op.kind, *self.gaps):
            if gap := self.gaps.get(kind):
                return {"gap": {"op": kind, "code": gap.code, "reason": gap.reason}}
        tensors: dict[str, Any] = {}
        for name in _tensors(self.graph, node):
            native = self.natives[name]
            tensors[name] = {
                "name": native.name,
                "shape": list(native.shape),
                "axes": list(native.axes),
            }
        return {"lowering": self._explain(node), "tensors": tensors}


def _tensors(graph: Graph, node: Node) -> dict[str, list[int]]:
    return {f"{node.path}.{param.role}": list(param.shape) for param in graph.params(node)}


def _lines(entry: dict[str, Any]) -> Iterator[str]:
    from archspec.ir.types import format_shape

    yield f"{entry['op']}: {_first(entry['paths'])}"
    if entry["locations"]:
        yield f"  written at  {_first(entry['locations'])}"
    if entry["fields"]:
        fields = ", ".join(f"{name} {_value(value)}" for name, value in entry["fields"].items())
        yield f"  fields      {fields}"
    before = " and ".join(map(format_shape, entry["inputs"]))
    yield f"  shapes      {before} -> {format_shape(entry['output'])}"
    if entry["macs"]:
        yield f"  MACs        {entry['macs']:,}"
    for name, shape in entry["tensors"].items():
        yield f"  tensor      {name} {format_shape(shape)}"
    for backend, details in entry["backends"].items():
        yield f"  on {backend}"
        if gap := details.get("gap"):
            yield f"    cannot build {gap['op']}: {gap['reason']}" + (
                f" ({gap['code']})" if gap["code"] else ""
            )
            continue
        yield from (f"    {line}" for line in details["lowering"].splitlines())
        for name, native in details["tensors"].items():
            axes = (
                f", its axes {', '.join(map(str, native['axes']))} of ours"
                if native["axes"]
                else ""
            )
            yield f"    {name} is {native['name']} {format_shape(native['shape'])}{axes}"


def _first(words: list[str], most: int = 8) -> str:
    """Return the first of a list for people, and how many more there are."""
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def _value(value: Any) -> str:
    match value:
        case str():
            return value
        case [*parts] if all(type(part) is int for part in parts):
            return "x".join(map(str, parts))
        case _:
            return json.dumps(value)
