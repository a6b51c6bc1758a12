"""From any file of weights to neutral tensors and back; everything goes through the neutral form."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from archspec._numpy import Array
from archspec._patterns import matches
from archspec.diagnostics import quote
from archspec.ir.document import Document
from archspec.ir.graph import Graph
from archspec.weights import checkpoint, formats, importers, safetensors_file

PathLike = str | os.PathLike[str]


class Network(Protocol):
    """What is asked of a spec."""

    @property
    def graph(self) -> Graph: ...
    @property
    def document(self) -> Document: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """Neutral tensors, and what whoever loads them should know."""

    tensors: dict[str, Array]
    notes: tuple[str, ...] = ()
    slots: dict[str, Array] = field(default_factory=dict[str, Any])
    """An optimizer's, where they were asked for."""


def load(
    path: PathLike,
    spec: Network,
    *,
    mapping: str | None = None,
    any_spec: bool = False,
    allow_nonfinite: bool = False,
) -> dict[str, Array]:
    """The tensors of a spec's network by neutral name, from a file of any known kind.

    `mapping` is the name or the file of the mapping for another project's names; without it, the one that fits is
    taken. Raises `CheckpointError` with all that does not fit.
    """
    return read(
        path, spec, mapping=mapping, any_spec=any_spec, allow_nonfinite=allow_nonfinite
    ).tensors


def read(
    path: PathLike,
    spec: Network,
    *,
    graph: Graph | None = None,
    mapping: str | None = None,
    any_spec: bool = False,
    allow_nonfinite: bool = False,
    slots: bool = False,
    fresh: Sequence[str] = (),
) -> Loaded:
    """As `load`, with notes; `graph` is the part of the spec's that is wanted, where it is not the whole of it.

    A neutral checkpoint may hold an optimizer's slots: with `slots` they come along, and else a note names them. Of a
    neutral checkpoint the tensors named as one of the patterns `fresh` are left out, as `load_state` does it.
    """
    path, part = Path(path), graph or spec.graph
    kind = formats.kind_of(path)
    if mapping is None and kind.name == "safetensors" and safetensors_file.is_neutral(path):
        state = checkpoint.load_state(
            path,
            part,
            whole=spec.graph,
            any_spec=any_spec,
            allow_nonfinite=allow_nonfinite,
            slots=slots,
            fresh=fresh,
        )
        notes = (*_afresh(path, part, fresh), *(() if slots else _left_out(path, spec.graph)))
        return Loaded(state.tensors, notes, state.slots)
    if fresh:
        help = "`archspec weights import` makes one, by the spec that the file was made for"
        message = f"of {quote(path)} no part can be taken: it is no neutral checkpoint"
        raise checkpoint.CheckpointError(message, help=help)
    found = formats.read(path, kind, spec.graph)
    way = importers.naming(path, kind, found, part, spec.graph, mapping)
    tensors = importers.translate(path, way, found, part)
    preprocess = spec.document.preprocess
    moved = importers.reordered(
        path, tensors, part, way, preprocess.channels if preprocess else None
    )
    if not allow_nonfinite:
        checkpoint.refuse_nonfinite(path, tensors)
    return Loaded(
        tensors, tuple(note for note in (f"read by {way.title}", moved, way.note) if note)
    )


def _left_out(path: Path, graph: Graph) -> tuple[str, ...]:
    """A note that names the slots of a checkpoint, where it has any."""
    with checkpoint.opened(path) as file:
        names = checkpoint.slots_among(file.keys(), {name for name, _, _ in graph.parameters()})
    listed = ", ".join(checkpoint.shown([quote(name) for name in names]))
    return (f"slots of an optimizer that are left out, {len(names):,}: {listed}",) if names else ()


def _afresh(path: Path, graph: Graph, fresh: Sequence[str]) -> tuple[str, ...]:
    """Notes on the tensors that the file does not give, and on those that it has for nothing."""
    ours = [name for name, _, _ in graph.parameters()]
    with checkpoint.opened(path) as file:
        names: list[str] = file.keys()
    theirs = sorted(name for name in names if name not in ours and "@" not in name)
    notes: list[str] = []
    for what, group in (
        ("that start afresh", ours),
        (f"of {quote(path)} that are left out", theirs),
    ):
        if chosen := [quote(name) for name in group if matches(name, fresh)]:
            notes.append(f"tensors {what}, {len(chosen):,}: {', '.join(checkpoint.shown(chosen))}")
    return tuple(notes)


def save(
    path: PathLike, tensors: Mapping[str, Array], spec: Network, *, to: str | None = None
) -> None:
    """Writes the tensors of a spec's network; the kind of file is that of the suffix, among those of the backend `to`.

    The whole file appears, or, where that fails (`Failure`), what was there stays.
    """
    path = Path(path)
    kind = _kind(path, to)
    if kind.name != "safetensors":
        formats.write(path, kind, spec.graph, spec.sha256, tensors)
        return
    try:
        checkpoint.save(path, tensors, checkpoint.origin(spec.graph, spec.sha256))
    except OSError as error:
        raise formats.failed(path, error) from error


def _kind(path: Path, to: str | None) -> formats.Kind:
    return formats.kind_for(to, path) if to else formats.kind_of(path)


def convert(
    source: PathLike,
    target: PathLike,
    spec: Network,
    *,
    to: str | None = None,
    mapping: str | None = None,
    any_spec: bool = False,
    allow_nonfinite: bool = False,
) -> Loaded:
    """Reads one file as `load` does and writes the other as `save` does; what was read, and notes.

    From one neutral checkpoint to another an optimizer's slots come along; no other kind of file holds them.
    """
    kept = _kind(Path(target), to).name == "safetensors"  # before anything is read
    loaded = read(
        source,
        spec,
        mapping=mapping,
        any_spec=any_spec,
        allow_nonfinite=allow_nonfinite,
        slots=kept,
    )
    save(target, {**loaded.tensors, **loaded.slots}, spec, to=to)
    return loaded
