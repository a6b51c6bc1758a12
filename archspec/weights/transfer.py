"""Carry weights from any known kind of file to portable tensors, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from archspec._numpy import Array
from archspec._patterns import matches
from archspec.backend import FileTensors
from archspec.diagnostics import quote
from archspec.ir.document import Document
from archspec.ir.graph import Graph
from archspec.weights import checkpoint, formats, importers, library, safetensors_file
from archspec.weights import prefix as prefixes
from archspec.weights.weight_source import WeightSource

StrPath = str | os.PathLike[str]


class NetworkSpec(Protocol):
    """The parts of a spec that carrying weights needs."""

    @property
    def graph(self) -> Graph: ...
    @property
    def document(self) -> Document: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """Portable tensors, and remarks for whoever loads them."""

    tensors: dict[str, Array]
    notes: tuple[str, ...] = ()
    slots: dict[str, Array] = field(default_factory=dict[str, Any])
    """An optimizer's slots, where they were asked for."""


def load(
    path: StrPath,
    spec: NetworkSpec,
    *,
    mapping: str | None = None,
    prefix: str = "",
    ignore_spec: bool = False,
    allow_nonfinite: bool = False,
) -> dict[str, Array]:
    """Return the tensors of a spec's network by portable name, from a file of any known kind.

    `mapping` is the name or the file of the mapping for another project's names; by default the one
    that fits is used. `prefix` is what the names begin with in the file: tensors under other names
    are left out. Raise `CheckpointError` listing everything that does not fit.
    """
    weights = WeightSource(Path(path), ignore_spec=ignore_spec, allow_nonfinite=allow_nonfinite)
    return load_from(weights, spec, mapping=mapping, prefix=prefix).tensors


def load_from(
    weights: WeightSource,
    spec: NetworkSpec,
    *,
    graph: Graph | None = None,
    mapping: str | None = None,
    prefix: str = "",
    slots: bool = False,
) -> LoadedWeights:
    """Return the tensors of a file of any known kind, and notes.

    `graph` is the part of the spec's graph to load, by default all of it. Of a portable checkpoint,
    `slots` brings an optimizer's slots along (otherwise a note names them), and tensors that match
    `weights.reinit` are left out. Raise `CheckpointError` listing everything that does not fit.
    """
    path, part = weights.file, graph or spec.graph
    kind = library.library_kind(path) or formats.kind_of_file(path)
    if (
        not mapping
        and not prefix
        and kind.name == "safetensors"
        and safetensors_file.is_portable(path)
    ):
        return _load_portable(weights, spec.graph, part, slots)
    if weights.reinit:
        raise checkpoint.CheckpointError(
            f"cannot take a part of {quote(path)}: it is not a portable checkpoint",
            help="`archspec weights import` makes one, by the spec that the file was made for",
        )
    return _load_foreign(weights, spec, part, kind, mapping, prefix)


def _load_portable(weights: WeightSource, whole: Graph, part: Graph, slots: bool) -> LoadedWeights:
    state = checkpoint.load_state(weights, part, whole=whole, slots=slots)
    notes = _reinit_notes(weights.file, part, weights.reinit)
    if not slots:
        notes += _slot_notes(weights.file, whole)
    return LoadedWeights(state.tensors, tuple(notes), state.slots)


def _load_foreign(
    weights: WeightSource,
    spec: NetworkSpec,
    part: Graph,
    kind: formats.FileKind,
    mapping: str | None,
    prefix: str,
) -> LoadedWeights:
    """Load a file that has another project's or a framework's own names and layouts."""
    path = weights.file
    if library.library_kind(path) is None:
        tensors = formats.read_file(path, kind, spec.graph)
    else:
        tensors = library.read_library_model(str(path), kind)
    notes: list[str] = []
    if prefix:
        whole_file, tensors = tensors, prefixes.under_prefix(tensors, prefix)
        others = importers.weight_names(
            {n: t for n, t in whole_file.items() if not n.startswith(prefix)}
        )
        notes += _listed("tensors of the file that do not begin so and are left out", others)
    schemes = importers.naming_schemes(kind, part, spec.graph, mapping)
    naming, tensors, note = _without_prefix(path, tensors, part, schemes)
    portable = importers.to_portable(path, naming, tensors, part, spec.graph, note.help)
    preprocess = spec.document.preprocess
    channels = preprocess.channels if preprocess else None
    reordered = importers.reorder_input_channels(path, portable, part, naming, channels)
    if not weights.allow_nonfinite:
        checkpoint.check_finite(path, portable)
    idle = _listed("tensors that the mapping gives and the network has not", naming.idle)
    notes = [f"read by {naming.title}", note.text, *notes, *idle, reordered, naming.note]
    return LoadedWeights(portable, tuple(note for note in notes if note))


@dataclass(frozen=True, slots=True)
class _PrefixNote:
    """A remark on the prefix that was left out, or the help that names it."""

    text: str = ""
    help: str = ""


def _without_prefix(
    path: Path,
    tensors: FileTensors,
    graph: Graph,
    schemes: list[importers.NamingScheme],
) -> tuple[importers.NamingScheme, FileTensors, _PrefixNote]:
    """Return the scheme that a file's names follow, and the tensors, without a prefix if only so
    they fit."""
    naming = importers.choose_naming(path, tensors, graph, schemes)
    least = naming.mismatch_count(tensors, graph)
    nearest = _PrefixNote()
    for renaming in prefixes.renamings(importers.weight_names(tensors)) if least else ():
        renamed = renaming.applied(tensors)
        chosen = importers.choose_naming(path, renamed, graph, schemes)
        count = chosen.mismatch_count(renamed, graph)
        if not count:
            return chosen, renamed, _PrefixNote(f"{renaming.note}, which is left out")
        if count < least and renaming.prefix:
            least = count
            command = quote(f"{importers.IMPORT} --prefix {renaming.prefix}")
            nearest = _PrefixNote(help=f"{renaming.note}: {command} leaves it out")
    return naming, tensors, nearest


def _slot_notes(path: Path, graph: Graph) -> list[str]:
    """Return a note that names a checkpoint's slots, if it has any."""
    with checkpoint.open_safetensors(path) as file:
        names = checkpoint.slot_names(file.keys(), {name for name, _, _ in graph.parameters()})
    return _listed("slots of an optimizer that are left out", names)


def _reinit_notes(path: Path, graph: Graph, reinit: Sequence[str]) -> list[str]:
    """Return notes on the tensors that are reinitialised, and on those of the file left out."""
    ours = [name for name, _, _ in graph.parameters()]
    with checkpoint.open_safetensors(path) as file:
        names: list[str] = file.keys()
    theirs = sorted(name for name in names if name not in ours and "@" not in name)
    return [
        *_listed("tensors that are reinitialised", [n for n in ours if matches(n, reinit)]),
        *_listed(
            f"tensors of {quote(path)} that are left out",
            [n for n in theirs if matches(n, reinit)],
        ),
    ]


def _listed(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(checkpoint.first_lines([quote(name) for name in names]))
    return [f"{title}, {len(names):,}: {shown}"]


def save(
    path: StrPath, tensors: Mapping[str, Array], spec: NetworkSpec, *, to: str | None = None
) -> None:
    """Write the tensors of a spec's network, whole or not at all.

    The suffix says the kind of file, among those of the backend `to` if it is given. Raise
    `Failure` if the file cannot be written.
    """
    path = Path(path)
    kind = _kind(path, to)
    if kind.name != "safetensors":
        formats.write_file(path, kind, spec.graph, spec.sha256, tensors)
        return
    metadata = checkpoint.network_metadata(spec.graph, spec.sha256)
    try:
        checkpoint.save_checkpoint(path, tensors, metadata)
    except OSError as error:
        raise formats.write_failure(path, error) from error


def _kind(path: Path, to: str | None) -> formats.FileKind:
    return formats.kind_of_backend(to, path) if to else formats.kind_by_suffix(path)


def convert(
    source: StrPath,
    target: StrPath,
    spec: NetworkSpec,
    *,
    to: str | None = None,
    mapping: str | None = None,
    prefix: str = "",
    ignore_spec: bool = False,
    allow_nonfinite: bool = False,
) -> LoadedWeights:
    """Read one file as `load` does and write another as `save` does; return what was read.

    From one portable checkpoint to another an optimizer's slots come along; no other kind of file
    holds them.
    """
    # An unknown suffix of the target is refused before anything is read.
    keeps_slots = _kind(Path(target), to).name == "safetensors"
    weights = WeightSource(Path(source), ignore_spec=ignore_spec, allow_nonfinite=allow_nonfinite)
    loaded = load_from(weights, spec, mapping=mapping, prefix=prefix, slots=keeps_slots)
    save(target, {**loaded.tensors, **loaded.slots}, spec, to=to)
    return loaded
