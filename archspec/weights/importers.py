"""Turn tensors under foreign names into portable ones, by a framework's names or a mapping.

Of all the schemes that a file may follow, the one that it fits is used; if it fits none, all that
differs from the nearest is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from archspec._numpy import Array, np
from archspec.backend import BackendError, TensorLayout, attributed, available
from archspec.backend import load as load_backend
from archspec.diagnostics import quote
from archspec.ir.graph import Graph
from archspec.ir.types import Shape, format_shape
from archspec.weights import mapping as mappings
from archspec.weights.checkpoint import CheckpointError
from archspec.weights.formats import FileKind


@dataclass(frozen=True, slots=True)
class NamingScheme:
    """A scheme by which a file may name a graph's tensors.

    `layouts` has, by portable name, each tensor's name and layout in the file.
    """

    title: str
    layouts: Mapping[str, TensorLayout]
    ignored: Mapping[str, str] = field(default_factory=dict[str, str])
    channels: str | None = None
    note: str = ""

    def unknown_names(self, file_tensors: Mapping[str, Any]) -> list[str]:
        """Return the names of a file that the scheme does not know."""
        native_names = {native.name for native in self.layouts.values()}
        rest = [name for name in file_tensors if name not in native_names]
        return sorted(
            name for name in rest if not any(fnmatchcase(name, pattern) for pattern in self.ignored)
        )

    def mismatch_count(self, file_tensors: Mapping[str, Any], graph: Graph) -> int:
        """Return how many names of a graph and of a file have no counterpart."""
        names = (name for name, _, _ in graph.parameters())
        missing = sum(
            name not in self.layouts or self.layouts[name].name not in file_tensors
            for name in names
        )
        return missing + len(self.unknown_names(file_tensors))


def choose_naming(
    path: Path,
    kind: FileKind,
    file_tensors: Mapping[str, Any],
    graph: Graph,
    whole: Graph,
    mapping: str | None = None,
) -> NamingScheme:
    """Return the scheme that a file's names follow, or else the nearest.

    `graph` is the part of `whole` to load.

    A framework's own names come first, then the mapping that fits. Raise `CheckpointError` if two
    fit.
    """
    if mapping is not None:
        return naming_of_mapping(mapping, mappings.find_mapping(mapping), whole)
    framework_schemes = list(_natives(kind, graph, whole))
    shipped = {name: mappings.find_mapping(name) for name in mappings.shipped_mappings()}
    mapping_schemes = [
        naming_of_mapping(name, name_map, whole)
        for name, name_map in shipped.items()
        if kind.name in name_map.formats
    ]
    gaps = {
        way.title: way.mismatch_count(file_tensors, graph)
        for way in (*framework_schemes, *mapping_schemes)
    }
    fit = [way for way in mapping_schemes if not gaps[way.title]]
    if len(fit) > 1 and all(gaps[way.title] for way in framework_schemes):
        choices = " and ".join(way.title for way in fit)
        raise CheckpointError(f"{quote(path)} fits {choices}", help="choose one with `--mapping`")
    if not framework_schemes and not mapping_schemes:
        help = "`--mapping FILE` says how it calls them"
        raise CheckpointError(f"how {quote(path)} calls its tensors is not known", help=help)
    return min((*framework_schemes, *mapping_schemes), key=lambda way: gaps[way.title])


def naming_of_mapping(title: str, mapping: mappings.NameMapping, whole: Graph) -> NamingScheme:
    """Return the scheme of a mapping, restricted to the graph's tensors."""
    shapes = {name: param.shape for name, _, param in whole.parameters()}
    natives = {
        ours: TensorLayout(theirs, shapes[ours])
        for theirs, ours in mapping.names.items()
        if ours in shapes
    }
    return NamingScheme(
        f"the mapping {title}", natives, mapping.ignored, mapping.channels, mapping.note
    )


def _natives(kind: FileKind, graph: Graph, whole: Graph) -> Iterator[NamingScheme]:
    """Yield the schemes of frameworks: the file's own, or all if it does not say whose it is."""
    if kind.name == "safetensors":
        yield NamingScheme(
            "portable names",
            {name: TensorLayout(name, param.shape) for name, _, param in whole.parameters()},
        )
    if kind.backend:
        backends = [kind.backend]
    elif kind.name == "safetensors":
        backends = sorted(available())
    else:
        backends = []
    for name in backends:
        try:
            backend = load_backend(name)
        except BackendError:
            continue
        with attributed(name, "naming its tensors"):
            layout, inference_layout = map(backend.tensor_layout, (whole, graph))
        yield NamingScheme(f"{name}'s own names", layout)
        if graph is not whole:
            yield NamingScheme(f"{name}'s own names, of the inference graph", inference_layout)


def to_portable(
    path: Path, way: NamingScheme, file_tensors: Mapping[str, Array], graph: Graph
) -> dict[str, Array]:
    """Return the tensors of a graph, in portable layouts and float32.

    Raise `CheckpointError` listing all that is missing, unexpected, of another shape, or not of
    floating point.
    """
    if problems := tuple(_problems(way, file_tensors, graph)):
        message = (
            f"{quote(path)}, read by {way.title}, does not fit the network {quote(graph.name)}"
        )
        raise CheckpointError(
            message, problems, "names of another project need `--mapping NAME_OR_FILE`"
        )
    tensors: dict[str, Array] = {}
    for name, _, param in graph.parameters():
        native = way.layouts[name]
        neutral = native.to_portable(param.shape, file_tensors[native.name])
        with np.errstate(
            over="ignore"
        ):  # what float32 cannot hold becomes infinite, which is looked for
            tensors[name] = np.ascontiguousarray(neutral, np.float32).reshape(param.shape)
    return tensors


def _problems(way: NamingScheme, file_tensors: Mapping[str, Array], graph: Graph) -> Iterator[str]:
    for name, _, param in graph.parameters():
        native = way.layouts.get(name)
        if native is None or native.name not in file_tensors:
            called = f", there {quote(native.name)}" if native else ""
            yield f"missing: {quote(name)}, {format_shape(param.shape)}{called}"
            continue
        array = file_tensors[native.name]
        if _trimmed(array.shape, len(native.shape)) != native.shape:
            shapes = f"{format_shape(array.shape)}, expected {format_shape(native.shape)}"
            yield f"of another shape: {quote(native.name)} is {shapes}"
        if array.dtype.kind != "f":
            yield (
                f"of another type: {quote(native.name)} is {array.dtype}, "
                "expected floating-point numbers"
            )
    for name in way.unknown_names(file_tensors):
        yield f"unexpected: {quote(name)}"


def _trimmed(shape: Shape, rank: int) -> Shape:
    """Return a shape without the leading axes of 1 that some projects pad it with."""
    extra = len(shape) - rank
    return shape[extra:] if extra > 0 and all(size == 1 for size in shape[:extra]) else shape


def reorder_input_channels(
    path: Path, tensors: dict[str, Array], graph: Graph, way: NamingScheme, channels: str | None
) -> str:
    """Reorder the input channels of the first layer to the order of the spec's `preprocess`.

    Return a note on what was done. Raise `CheckpointError` if the weights cannot be reordered.
    """
    if way.channels in (None, channels) or channels not in ("rgb", "bgr"):
        return ""
    for node in graph.nodes:
        if 0 in node.inputs:
            name = f"{node.path}.weight"
            if node.op.kind != "conv" or tensors[name].shape[1] != graph.input[0]:
                message = (
                    f"the weights of {quote(path)} are for images in {way.channels}, "
                    f"the spec's are {channels}"
                )
                raise CheckpointError(
                    message, help=f"give the spec `preprocess: {{channels: {way.channels}}}`"
                )
            tensors[name] = np.ascontiguousarray(tensors[name][:, ::-1])
    return (
        f"input channels put from {way.channels} into {channels}, "
        "the order of the spec's `preprocess`"
    )
