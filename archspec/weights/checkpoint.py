"""The neutral checkpoint: one safetensors file of float32 tensors under neutral names, in neutral layouts.

Its metadata has one entry, `archspec`: the format's version, a SHA-256 of every tensor's bytes, and more as the
network it was made for, as JSON. It is one entry since safetensors writes several in no fixed order, and equal weights
are to be equal files. Nothing is ever unpickled.

>>> import archspec, tempfile
>>> from archspec.weights.init import initial
>>> spec = archspec.load("lenet5")
>>> with tempfile.TemporaryDirectory() as folder:
...     save(Path(folder) / "weights.safetensors", initial(spec.graph), origin(spec.graph, spec.sha256))
...     tensors = load(Path(folder) / "weights.safetensors", spec.graph)
>>> tensors["c1.conv.weight"].shape
(6, 1, 5, 5)
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from archspec._numpy import Array, np
from archspec._patterns import check_patterns_match, matches
from archspec.backend.session import SessionState
from archspec.diagnostics import Failure, quote
from archspec.ir.graph import Graph
from archspec.ir.types import format_shape
from archspec.weights.fingerprint import differences, fingerprint
from archspec.weights.reinit import advice

KEY, VERSION = "archspec", "1"
SHOWN = 20
ANY_SPEC = "if that is meant, `--ignore-spec` takes it all the same"
NONFINITE = "training may have diverged; `--allow-nonfinite` takes it all the same"


def shown(lines: Sequence[str]) -> list[str]:
    """The first of them, and how many more there are."""
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"and {more} more"] if more > 0 else [])]


class CheckpointError(Failure):
    """A file that is no checkpoint, or not this network's; `problems` holds everything that differs, a line each."""

    def __init__(
        self, message: str, problems: tuple[str, ...] = (), help: str = "", exit_code: int = 1
    ) -> None:
        super().__init__("\n  ".join((message, *shown(problems))), help, exit_code)
        self.problems = problems


def origin(graph: Graph, spec: str) -> dict[str, str]:
    """What a checkpoint's metadata says of its network; `spec` is the hash of the spec's text."""
    return {"name": graph.name, "graph": fingerprint(graph), "spec": spec}


def save(
    path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, Any] | None = None
) -> None:
    """Writes a checkpoint: the whole file appears at `path`, or, where that fails (OSError), what was there stays."""
    # Tensors go to the file one by one, so that what fills the memory can be saved; safetensors' own writer cannot tell
    # a full disk from another fault.
    plain = {name: np.ascontiguousarray(tensors[name], dtype="<f4") for name in sorted(tensors)}
    digests = {name: hashlib.sha256(tensor.data).hexdigest() for name, tensor in plain.items()}
    own = json.dumps({**(metadata or {}), "version": VERSION, "digests": digests}, sort_keys=True)
    header: dict[str, Any] = {"__metadata__": {KEY: own}}
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
    staging = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        with staging.open("xb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for tensor in plain.values():
                file.write(tensor.data)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def load(
    path: Path,
    graph: Graph,
    *,
    whole: Graph | None = None,
    any_spec: bool = False,
    allow_nonfinite: bool = False,
) -> dict[str, Array]:
    """Every tensor of a graph from a checkpoint.

    `whole` is the graph that `graph` is a part of: what the checkpoint has for the rest of it is left out, as slots of
    an optimizer are. Raises `CheckpointError` with all that is missing, unexpected, or of another shape or type; where
    it was made for another network, though its tensors fit; where bytes are not those that were saved; and where a
    value is not finite.
    """
    return load_state(
        path, graph, whole=whole, any_spec=any_spec, allow_nonfinite=allow_nonfinite, slots=False
    ).tensors


def load_state(
    path: Path,
    graph: Graph,
    *,
    whole: Graph | None = None,
    any_spec: bool = False,
    allow_nonfinite: bool = False,
    slots: bool = True,
    fresh: Sequence[str] = (),
) -> SessionState:
    """As `load`, with the optimizer's slots that lie beside the tensors, under the names that `slot_name` gives.

    What is named as one of the patterns `fresh` is left out, here and there: the checkpoint is another network's then,
    and nothing but its tensors is looked at. Raises `Failure` for a pattern that nothing is named as.
    """
    wanted = {
        name: param.shape for name, _, param in graph.parameters() if not matches(name, fresh)
    }
    known = {name for name, _, _ in (whole or graph).parameters()}
    with opened(path) as file:
        own = metadata(path, file)
        every: list[str] = file.keys()
        there = [name for name in every if not matches(name.partition("@")[0], fresh)]
        check_patterns_match(fresh, known | {*every})
        foreign = None if any_spec or fresh else _foreign(own, graph, whole)
        if problems := list(_problems(file, there, wanted, known)):
            lines = (*((foreign,) if foreign else ()), *(line for _, line in problems))
            misfits = [name for name, _ in problems]
            help = advice(
                misfits, [name for name in there if name in wanted and name not in {*misfits}]
            )
            raise CheckpointError(
                f"{quote(path)} does not fit the network {quote(graph.name)}", lines, help
            )
        if foreign:
            message = f"{quote(path)} was made for another network, though its tensors fit {quote(graph.name)}"
            raise CheckpointError(message, (foreign,), ANY_SPEC)
        beside = slots_among(there, wanted) if slots else []
        found = {name: file.get_tensor(name) for name in (*wanted, *beside)}
    verify(path, own, found)
    if not allow_nonfinite:
        refuse_nonfinite(path, found)
    return SessionState(
        {name: found[name] for name in wanted}, {name: found[name] for name in beside}
    )


def slots_among(names: Iterable[str], tensors: Collection[str]) -> list[str]:
    """Which names are those of an optimizer's slots, for these tensors.

    >>> slots_among(["fc.bias", "fc.bias@momentum", "conv.bias@momentum"], {"fc.bias"})
    ['fc.bias@momentum']
    """
    return sorted(name for name in names if name.rpartition("@")[0] in tensors)


@contextmanager
def opened(path: Path) -> Generator[Any]:
    """An open safetensors file, as the library has it; raises `CheckpointError` where it is none."""
    from safetensors import SafetensorError, safe_open

    try:
        library: Any = safe_open(path, framework="numpy")
        with library as file:
            yield file
    except FileNotFoundError:
        raise CheckpointError(f"no file {quote(path)}") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{quote(path)} is no safetensors file, or a damaged one: {error}"
        ) from error


def metadata(path: Path, file: Any) -> dict[str, Any]:
    """What an open file says of itself; raises `CheckpointError` where it is not ours."""
    texts: dict[str, str] = file.metadata() or {}
    try:
        stated: Any = json.loads(texts[KEY])
    except (KeyError, ValueError, RecursionError):
        stated = None
    if not isinstance(stated, dict):
        help = "names and layouts of other projects' files are others: `archspec weights import` reads them"
        raise CheckpointError(f"{quote(path)} was not written by archspec", help=help)
    own = cast("dict[str, Any]", stated)
    if own.get("version") != VERSION:
        found = quote(own.get("version", "none"))
        raise CheckpointError(
            f"{quote(path)} has the format's version {found}; known is {quote(VERSION)}"
        )
    return own


def verify(path: Path, own: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
    """Raises `CheckpointError`, naming each tensor whose bytes are not those that the file's metadata speak of."""
    stated: Any = own.get("digests")
    digests = cast("dict[str, Any]", stated) if isinstance(stated, dict) else {}
    damaged = tuple(
        f"other bytes than were saved: {quote(name)}"
        for name, tensor in tensors.items()
        if name in digests
        and hashlib.sha256(np.ascontiguousarray(tensor).data).hexdigest() != digests[name]
    )
    if damaged:
        raise CheckpointError(f"{quote(path)} is damaged", damaged, "fetch it or save it again")


def refuse_nonfinite(path: Path, tensors: Mapping[str, Array]) -> None:
    """Raises `CheckpointError`, naming each tensor that has a value which is no number, or infinite."""
    found: list[str] = []
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            nans = int(np.isnan(tensor).sum())
            found.append(f"{quote(name)}: {nans:,} NaN, {int(np.isinf(tensor).sum()):,} infinite")
    if found:
        raise CheckpointError(
            f"{quote(path)} has values that are not finite", tuple(found), NONFINITE
        )


def _foreign(own: Mapping[str, Any], graph: Graph, whole: Graph | None) -> str | None:
    """In which way a checkpoint is another network's; None where it is this one's, or does not say."""
    stated: Any = own.get("graph")
    ours = [fingerprint(part) for part in (whole, graph) if part is not None]
    if not isinstance(stated, str) or stated in ours:
        return None
    ways = ", ".join(differences(stated, ours[0]))
    return f"of another network: it was made for {quote(own.get('name', 'none'))}, which has other {ways or 'layers'}"


def _problems(
    file: Any, there: Sequence[str], wanted: Mapping[str, tuple[int, ...]], known: Collection[str]
) -> Iterator[tuple[str, str]]:
    """What differs between a file and a graph, by name, from the file's header alone; `there` is what of it counts."""
    found = set(there)
    slots = {name: wanted[name.rpartition("@")[0]] for name in slots_among(found, wanted)}
    for name, expected in {**wanted, **slots}.items():
        if name not in found:
            yield name, f"missing: {quote(name)}, {format_shape(expected)}"
            continue
        view = file.get_slice(name)
        shape, dtype = tuple(view.get_shape()), view.get_dtype()
        if shape != expected:
            yield (
                name,
                f"of another shape: {quote(name)} is {format_shape(shape)}, expected {format_shape(expected)}",
            )
        if dtype != "F32":
            yield name, f"of another type: {quote(name)} is {dtype}, expected F32"
    for name in sorted(found):
        if name not in known and name.rpartition("@")[0] not in known:
            yield name, f"unexpected: {quote(name)}"
