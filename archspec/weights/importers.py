"""Turn tensors under foreign names into portable ones, by a framework's names or a mapping.

Of all the schemes that a file may follow, the one that it fits is used; if it fits none, all that
differs from the nearest is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from archspec._numpy import Array, np
from archspec.backend import (
    BackendError,
    FileTensor,
    FileTensors,
    TensorLayout,
    attributed,
    available,
)
from archspec.backend import load as load_backend
from archspec.diagnostics import quote
from archspec.ir.graph import Graph
from archspec.ir.op import ParamSpec
from archspec.ir.types import format_shape
from archspec.weights import mapping as mappings
from archspec.weights.checkpoint import CheckpointError
from archspec.weights.feature_order import channels_last_orders
from archspec.weights.formats import FileKind
from archspec.weights.mapping_rules import TensorSource
from archspec.weights.portable import Misfit, PortableReader

IMPORT = "archspec weights import ..."
"""The command that has the flags for foreign names; others take its file."""


@dataclass(frozen=True, slots=True)
class NamingScheme:
    """A scheme by which a file may name a graph's tensors.

    `sources` has, by portable name, where each tensor lies in the file; `layouts` how, by the names
    of a framework; `is_own` is set for a file of that framework.
    """

    title: str
    sources: Mapping[str, TensorSource]
    layouts: Mapping[str, TensorLayout] = field(default_factory=dict[str, TensorLayout])
    is_own: bool = False
    ignored: Mapping[str, str] = field(default_factory=dict[str, str])
    channels: str | None = None
    note: str = ""
    idle: tuple[str, ...] = ()
    """Portable names that a mapping gives and the network has not."""
    is_chosen: bool = False
    """The user has named it."""

    def unknown_names(self, file_tensors: FileTensors) -> list[str]:
        """Return the names of a file's weights that the scheme does not know."""
        used_names = {source.name for source in self.sources.values()}
        used_names |= {source.divide_by for source in self.sources.values()}
        rest = [name for name in weight_names(file_tensors) if name not in used_names]
        return sorted(
            name for name in rest if not any(fnmatchcase(name, pattern) for pattern in self.ignored)
        )

    def mismatch_count(self, file_tensors: FileTensors, graph: Graph) -> int:
        """Return how many names of a graph and of a file have no counterpart."""
        names = (name for name, _, _ in graph.parameters())
        missing = sum(
            name not in self.sources or self.sources[name].name not in file_tensors
            for name in names
        )
        return missing + len(self.unknown_names(file_tensors))


def weight_names(file_tensors: FileTensors) -> list[str]:
    """Return the names of a file's tensors, without those that it holds for other ends."""
    return [
        name
        for name, tensor in file_tensors.items()
        if not isinstance(tensor, FileTensor) or not tensor.unused
    ]


def naming_schemes(
    kind: FileKind, graph: Graph, whole: Graph, mapping: str | None = None
) -> list[NamingScheme]:
    """Return the schemes that a file may follow, a framework's own before those of mappings.

    `graph` is the part of `whole` to load. With a mapping named, it is the only one.
    """
    if mapping is not None:
        scheme = naming_of_mapping(mapping, mappings.find_mapping(mapping), whole)
        return [replace(scheme, is_chosen=True)]
    shipped = {name: mappings.find_mapping(name) for name in mappings.shipped_mappings()}
    return [
        *_natives(kind, graph, whole),
        *(
            naming_of_mapping(name, name_map, whole)
            for name, name_map in shipped.items()
            if kind.name in name_map.file.formats
        ),
    ]


def choose_naming(
    path: Path, file_tensors: FileTensors, graph: Graph, schemes: list[NamingScheme]
) -> NamingScheme:
    """Return the scheme that a file's names follow, or else the nearest.

    Raise `CheckpointError` if there is none, or if two mappings fit and no framework's names do.
    """
    if not schemes:
        help = f"a mapping says how it calls them: `{IMPORT} --mapping FILE`"
        raise CheckpointError(f"how {quote(path)} calls its tensors is not known", help=help)
    gaps = {way.title: way.mismatch_count(file_tensors, graph) for way in schemes}
    fit = [way for way in schemes if not gaps[way.title]]
    if len(fit) > 1 and not any(way.layouts for way in fit):
        choices = " and ".join(way.title for way in fit)
        help = f"choose one: `{IMPORT} --mapping NAME`"
        raise CheckpointError(f"{quote(path)} fits {choices}", help=help)
    return min(schemes, key=lambda way: gaps[way.title])


def naming_of_mapping(title: str, mapping: mappings.CheckedMapping, whole: Graph) -> NamingScheme:
    """Return the scheme of a mapping, restricted to the graph's tensors."""
    names = {name for name, _, _ in whole.parameters()}
    sources = {name: source for name, source in mapping.sources.items() if name in names}
    file = mapping.file
    return NamingScheme(
        f"the mapping {title}",
        sources,
        ignored=file.ignored,
        channels=file.channels,
        note=file.note,
        idle=tuple(name for name in mapping.sources if name not in names),
    )


def _natives(kind: FileKind, graph: Graph, whole: Graph) -> Iterator[NamingScheme]:
    """Yield the schemes of frameworks: the file's own, or all if it does not say whose it is."""
    if kind.name == "safetensors":
        layouts = {name: TensorLayout(name, param.shape) for name, _, param in whole.parameters()}
        yield _native("portable names", layouts, is_own=True)
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
        is_own = kind.backend == name
        yield _native(f"{name}'s own names", layout, is_own)
        if graph is not whole:
            yield _native(f"{name}'s own names, of the inference graph", inference_layout, is_own)


def _native(title: str, layouts: Mapping[str, TensorLayout], is_own: bool) -> NamingScheme:
    sources = {name: TensorSource(layout.name) for name, layout in layouts.items()}
    return NamingScheme(title, sources, layouts, is_own)


def to_portable(
    path: Path,
    way: NamingScheme,
    file_tensors: FileTensors,
    graph: Graph,
    whole: Graph,
    help: str = "",
) -> dict[str, Array]:
    """Return the tensors of a graph, a part of `whole`, in portable layouts and float32.

    Raise `CheckpointError` listing all that is missing, unexpected, of another shape, not of
    floating point, or of a meaning that the file does not state.
    """
    orders = channels_last_orders(graph)
    reader = PortableReader(whole, file_tensors, way.layouts, way.is_own, orders)
    tensors: dict[str, Array] = {}
    problems: list[str] = []
    for name, node, param in graph.parameters():
        try:
            source = _source(way, name, param, file_tensors)
            values = reader.read(name, node, param, source)
        except Misfit as misfit:
            problems.append(str(misfit))
            continue
        with np.errstate(
            over="ignore"
        ):  # what float32 cannot hold becomes infinite, which is looked for
            tensors[name] = np.ascontiguousarray(values, np.float32).reshape(param.shape)
    problems += [f"unexpected: {quote(name)}" for name in way.unknown_names(file_tensors)]
    if problems:
        message = (
            f"{quote(path)}, read by {way.title}, does not fit the network {quote(graph.name)}"
        )
        has_other_names = way.mismatch_count(file_tensors, graph) > 0
        raise CheckpointError(message, tuple(problems), help or _mapping_help(way, has_other_names))
    return tensors


def _mapping_help(way: NamingScheme, has_other_names: bool) -> str:
    """Return how a mapping would help with names that do not fit."""
    if way.idle:
        return f"the mapping gives {quote(way.idle[0])}, which the network has not"
    if way.is_chosen or not has_other_names:
        return ""
    return f"names of another project need `{IMPORT} --mapping NAME_OR_FILE`"


def _source(
    way: NamingScheme, name: str, param: ParamSpec, file_tensors: FileTensors
) -> TensorSource:
    """Return where a tensor lies in the file; raise `Misfit` if it is not there."""
    source = way.sources.get(name)
    if source is not None and source.name in file_tensors:
        return source
    called = f", there {quote(source.name)}" if source and source.name != name else ""
    raise Misfit(f"missing: {quote(name)}, {format_shape(param.shape)}{called}")


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
