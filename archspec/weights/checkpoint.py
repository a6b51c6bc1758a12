"""The portable checkpoint: one safetensors file of float32 tensors, in portable names and layouts.

Its metadata has one entry, `archspec`: the format's version, a SHA-256 of every tensor's bytes, and
more as the network it was made for, as JSON. It is one entry since safetensors writes several in no
fixed order, and equal weights are to be equal files. Nothing is ever unpickled.

>>> import archspec, tempfile
>>> from archspec.weights.init import initial_tensors
>>> spec = archspec.load("lenet5")
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "weights.safetensors"
...     save_checkpoint(path, initial_tensors(spec.graph))
...     tensors = load_tensors(path, spec.graph)
>>> tensors["c1.conv.weight"].shape
(6, 1, 5, 5)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field

from archspec._files import atomic_file, check_file
from archspec._json import JsonError, Record, Text, convert, parse_plain
from archspec._numpy import Array, np
from archspec._patterns import check_patterns_match, matches
from archspec.backend.session import SessionState
from archspec.diagnostics import Failure, library_words, quote
from archspec.ir.graph import Graph
from archspec.ir.types import format_shape
from archspec.weights.fingerprint import differences, fingerprint
from archspec.weights.reinit import reinit_advice
from archspec.weights.weight_source import WeightSource

METADATA_KEY, FORMAT_VERSION = "archspec", "1"
MAX_LINES = 20
MAX_TEXT = 1600
"""Characters of the lines in a message."""
IGNORE_SPEC_HELP = "if that is meant, `--ignore-spec` accepts it"
NONFINITE_HELP = "training may have diverged; `--allow-nonfinite` accepts it"


class _Versioned(Record):
    version: Text | None = None


class _Metadata(_Versioned):
    """The part of a checkpoint's metadata that is read back."""

    name: Text = "none"
    graph: Text | None = None
    digests: dict[Text, Text] = Field(default_factory=dict[str, str])


def first_lines(lines: Sequence[str]) -> list[str]:
    """Return the first lines of each kind, and how many more there are.

    A line's kind is what stands before its colon: many that are missing hide none that are not.
    """
    by_kind: dict[str, list[str]] = {}
    for line in lines:
        by_kind.setdefault(line.partition(":")[0], []).append(line)
    shares: dict[str, int] = {}
    # The kinds of few lines leave the others more.
    for index, (kind, members) in enumerate(sorted(by_kind.items(), key=lambda k: len(k[1]))):
        left = MAX_LINES - sum(shares.values())
        shares[kind] = min(len(members), left // (len(by_kind) - index))
    kept = [members[: shares[kind]] for kind, members in by_kind.items()]
    while sum(len(line) for members in kept for line in members) > MAX_TEXT:
        # The last of the kinds with the most lines.
        max(reversed(kept), key=len).pop()
    shown = [line for members in kept for line in members]
    more = len(lines) - len(shown)
    return [*shown, *([f"and {more} more"] if more > 0 else [])]


class CheckpointError(Failure):
    """A file that is not a checkpoint, or not this network's.

    `problems` lists everything that differs, a line each.
    """

    def __init__(self, message: str, problems: tuple[str, ...] = (), help: str = "") -> None:
        super().__init__("\n  ".join((message, *first_lines(problems))), help)
        self.problems = problems


def network_metadata(graph: Graph, spec: str) -> dict[str, str]:
    """Return a checkpoint's metadata about its network; `spec` is the hash of the spec's text."""
    return {"name": graph.name, "graph": fingerprint(graph), "spec": spec}


def save_checkpoint(
    path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a checkpoint atomically: if that fails (OSError), the old file stays."""
    # Tensors go to the file one by one, so that what fills the memory can be saved; safetensors'
    # own writer cannot tell
    # a full disk from another fault.
    plain = {name: np.ascontiguousarray(tensors[name], dtype="<f4") for name in sorted(tensors)}
    digests = {name: hashlib.sha256(tensor.data).hexdigest() for name, tensor in plain.items()}
    archspec_metadata = json.dumps(
        {**(metadata or {}), "version": FORMAT_VERSION, "digests": digests}, sort_keys=True
    )
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: archspec_metadata}}
    end = 0
    for name, tensor in plain.items():
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": "F32",
            "shape": np.shape(tensors[name]),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_file(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in plain.values():
            file.write(tensor.data)


def load_tensors(path: Path, graph: Graph, *, whole: Graph | None = None) -> dict[str, Array]:
    """Return every tensor of a graph from a checkpoint, without an optimizer's slots.

    Raise `CheckpointError` as `load_state` does.
    """
    return load_state(WeightSource(path), graph, whole=whole, slots=False).tensors


def load_state(
    weights: WeightSource, graph: Graph, *, whole: Graph | None = None, slots: bool = True
) -> SessionState:
    """Return a graph's tensors from a checkpoint, and the optimizer's slots that lie beside them.

    Slots have the names that `slot_name` gives. `whole` is the graph that `graph` is a part of:
    tensors for the rest of it are left out. So are tensors whose names match `weights.reinit`; the
    checkpoint is another network's then, and only its tensors are checked.

    Raise `CheckpointError` listing every tensor that is missing, unexpected, or of another shape or
    type. Raise it too if the checkpoint was made for another network, if bytes differ from those
    saved, or if a value is not finite. Raise `Failure` for a pattern that matches nothing.
    """
    path, reinit = weights.file, weights.reinit
    shapes = {
        name: param.shape for name, _, param in graph.parameters() if not matches(name, reinit)
    }
    known_names = {name for name, _, _ in (whole or graph).parameters()}
    with open_safetensors(path) as file:
        metadata = checkpoint_metadata(path, file)
        all_names: list[str] = file.keys()
        names = [name for name in all_names if not matches(name.partition("@")[0], reinit)]
        check_patterns_match(reinit, known_names | {*all_names})
        foreign = None
        if not weights.ignore_spec and not reinit:
            foreign = _foreign(metadata, graph, whole)
        problems = list(_problems(file, names, shapes, known_names))
        _check_fit(path, graph, names, shapes, problems, foreign)
        slots_present = slot_names(names, shapes) if slots else []
        tensors = {name: file.get_tensor(name) for name in (*shapes, *slots_present)}
    check_digests(path, metadata, tensors)
    if not weights.allow_nonfinite:
        check_finite(path, tensors)
    return SessionState(
        {name: tensors[name] for name in shapes}, {name: tensors[name] for name in slots_present}
    )


def _check_fit(
    path: Path,
    graph: Graph,
    names: Sequence[str],
    shapes: Mapping[str, tuple[int, ...]],
    problems: Sequence[tuple[str, str]],
    foreign: str | None,
) -> None:
    """Raise `CheckpointError` if tensors do not fit, or if the file is another network's."""
    if problems:
        misfits = {name for name, _ in problems}
        fitting = [name for name in names if name in shapes and name not in misfits]
        lines = [line for _, line in problems]
        raise CheckpointError(
            f"{quote(path)} does not fit the network {quote(graph.name)}",
            (*([foreign] if foreign else []), *lines),
            reinit_advice([name for name, _ in problems], fitting),
        )
    if foreign:
        raise CheckpointError(
            f"{quote(path)} was made for another network, "
            f"though its tensors fit {quote(graph.name)}",
            (foreign,),
            IGNORE_SPEC_HELP,
        )


def slot_names(names: Iterable[str], tensors: Collection[str]) -> list[str]:
    """Return the names of an optimizer's slots for these tensors.

    >>> slot_names(["fc.bias", "fc.bias@momentum", "conv.bias@momentum"], {"fc.bias"})
    ['fc.bias@momentum']
    """
    return sorted(name for name in names if name.rpartition("@")[0] in tensors)


@contextmanager
def open_safetensors(path: Path) -> Generator[Any]:
    """Open a safetensors file; raise `CheckpointError` if it is damaged or of another kind."""
    from safetensors import SafetensorError, safe_open

    try:
        check_file(path)
        library: Any = safe_open(path, framework="numpy")
        with library as file:
            yield file
    except FileNotFoundError:
        raise CheckpointError(f"no file {quote(path)}") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{quote(path)} is no safetensors file, or a damaged one: {library_words(error)}"
        ) from error


def checkpoint_metadata(path: Path, file: Any) -> dict[str, Any]:
    """Return a checkpoint's metadata; raise `CheckpointError` if archspec did not write it."""
    texts: dict[str, str] = file.metadata() or {}
    help = (
        "names and layouts of other projects' files are others: "
        "`archspec weights import` reads them"
    )
    if METADATA_KEY not in texts:
        raise CheckpointError(f"{quote(path)} was not written by archspec", help=help)
    try:
        metadata = parse_plain(texts[METADATA_KEY])
        version = convert(metadata, _Versioned).version
        if version == FORMAT_VERSION:
            convert(metadata, _Metadata)
            return metadata
    except JsonError as error:
        message = f"{quote(path)} was not written by archspec: in its metadata {error}"
        raise CheckpointError(message, help=help) from None
    raise CheckpointError(
        f"{quote(path)} has the format's version {quote('none' if version is None else version)}; "
        f"known is {quote(FORMAT_VERSION)}"
    )


def check_digests(path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
    """Raise `CheckpointError`, naming each tensor whose bytes do not match the stored digest."""
    digests: dict[str, str] = metadata.get("digests", {})
    damaged = tuple(
        f"other bytes than were saved: {quote(name)}"
        for name, tensor in tensors.items()
        if name in digests
        and hashlib.sha256(np.ascontiguousarray(tensor).data).hexdigest() != digests[name]
    )
    if damaged:
        raise CheckpointError(f"{quote(path)} is damaged", damaged, "fetch it or save it again")


def check_finite(path: Path, tensors: Mapping[str, Array]) -> None:
    """Raise `CheckpointError`, naming each tensor that has NaN or infinite values."""
    nonfinite: list[str] = []
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            nans = int(np.isnan(tensor).sum())
            nonfinite.append(
                f"{quote(name)}: {nans:,} NaN, {int(np.isinf(tensor).sum()):,} infinite"
            )
    if nonfinite:
        raise CheckpointError(
            f"{quote(path)} has values that are not finite", tuple(nonfinite), NONFINITE_HELP
        )


def _foreign(metadata: Mapping[str, Any], graph: Graph, whole: Graph | None) -> str | None:
    """Describe how a checkpoint's network differs; None if it is this one, or is not stated."""
    stated: str | None = metadata.get("graph")
    ours = [fingerprint(part) for part in (whole, graph) if part is not None]
    if stated is None or stated in ours:
        return None
    ways = ", ".join(differences(stated, ours[0]))
    name = quote(metadata.get("name", "none"))
    return f"of another network: it was made for {name}, which has other {ways or 'layers'}"


def _problems(
    file: Any,
    names: Sequence[str],
    shapes: Mapping[str, tuple[int, ...]],
    known_names: Collection[str],
) -> Iterator[tuple[str, str]]:
    """Yield each name of `names` or the graph that does not fit, and why, from the header alone."""
    stored = set(names)
    slots = {name: shapes[name.rpartition("@")[0]] for name in slot_names(stored, shapes)}
    for name, expected in {**shapes, **slots}.items():
        if name not in stored:
            yield name, f"missing: {quote(name)}, {format_shape(expected)}"
            continue
        view = file.get_slice(name)
        shape, dtype = tuple(view.get_shape()), view.get_dtype()
        if shape != expected:
            yield (
                name,
                (
                    f"of another shape: {quote(name)} is {format_shape(shape)}, "
                    f"expected {format_shape(expected)}"
                ),
            )
        if dtype != "F32":
            yield name, f"of another type: {quote(name)} is {dtype}, expected F32"
    for name in sorted(stored):
        if name not in known_names and name.rpartition("@")[0] not in known_names:
            yield name, f"unexpected: {quote(name)}"
