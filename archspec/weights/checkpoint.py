"""The neutral checkpoint: one safetensors file of float32 tensors under neutral names, in neutral layouts.

Its metadata has one entry, `archspec`: the format's version, and more as the hash of the spec, as JSON. It is one entry
since safetensors writes several in no fixed order, and equal weights are to be equal files. Nothing is ever unpickled.

>>> import archspec, tempfile
>>> from archspec.weights.init import initial
>>> spec = archspec.load("lenet5")
>>> with tempfile.TemporaryDirectory() as folder:
...     save(Path(folder) / "weights.safetensors", initial(spec.graph), {"spec": spec.sha256})
...     tensors = load(Path(folder) / "weights.safetensors", spec.graph, spec=spec.sha256)
>>> tensors["c1.conv.weight"].shape
(6, 1, 5, 5)
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from archspec.diagnostics import Failure, quote
from archspec.graph import Graph
from archspec.types import format_shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Tensor = NDArray[np.float32]
else:
    from archspec import lazy_numpy as np

KEY, VERSION = "archspec", "1"
SHOWN = 20


class CheckpointError(Failure):
    """A file that is no checkpoint, or not this network's; `problems` holds everything that differs, a line each."""

    def __init__(self, message: str, problems: tuple[str, ...] = (), help: str = "") -> None:
        more = (f"and {len(problems) - SHOWN} more",) if len(problems) > SHOWN else ()
        super().__init__("\n  ".join((message, *problems[:SHOWN], *more)), help)
        self.problems = problems


def save(path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str] | None = None) -> None:
    """Writes a checkpoint: the whole file appears at `path`, or, where that fails (OSError), what was there stays."""
    from safetensors.numpy import save as encode

    # safetensors writes an array's memory as it lies, whatever its strides and byte order
    plain = {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}
    data = encode(plain, {KEY: json.dumps({**(metadata or {}), "version": VERSION}, sort_keys=True)})
    staging = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        with staging.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def load(path: Path, graph: Graph, *, spec: str | None = None) -> dict[str, Tensor]:
    """Every tensor of a graph from a checkpoint; where `spec` is given, the checkpoint has to state that hash.

    Raises `CheckpointError` with all that is missing, unexpected, or of another shape or type, before a tensor is read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        opened: Any = safe_open(path, framework="numpy")
        with opened as file:
            stated = _own(path, file.metadata() or {})
            if problems := tuple(_problems(file, stated, graph, spec)):
                raise CheckpointError(f"{quote(path)} does not fit the network {quote(graph.name)}", problems)
            return {name: file.get_tensor(name) for name, _, _ in graph.parameters()}
    except FileNotFoundError:
        raise CheckpointError(f"no file {quote(path)}") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{quote(path)} is no safetensors file, or a damaged one: {error}") from error


def _own(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a file says of itself; raises where it is not ours."""
    try:
        stated: Any = json.loads(metadata[KEY])
    except (KeyError, ValueError, RecursionError):
        stated = None
    if not isinstance(stated, dict):
        help = "names and layouts of other projects' files are others; it takes an importer to read them"
        raise CheckpointError(f"{quote(path)} was not written by archspec", help=help)
    own = cast("dict[str, Any]", stated)
    if own.get("version") != VERSION:
        found = quote(own.get("version", "none"))
        raise CheckpointError(f"{quote(path)} has the format's version {found}; known is {quote(VERSION)}")
    return own


def _problems(file: Any, stated: Mapping[str, Any], graph: Graph, spec: str | None) -> Iterator[str]:
    """What differs between a file and a graph, from the file's header alone."""
    if spec not in (None, stated.get("spec")):
        yield f"of another spec: its hash is {quote(stated.get('spec', 'none'))}, expected {quote(spec)}"
    found = set(file.keys())
    for name, _, param in graph.parameters():
        if name not in found:
            yield f"missing: {quote(name)}, {format_shape(param.shape)}"
            continue
        found.remove(name)
        view = file.get_slice(name)
        shape, dtype = tuple(view.get_shape()), view.get_dtype()
        if shape != param.shape:
            yield f"of another shape: {quote(name)} is {format_shape(shape)}, expected {format_shape(param.shape)}"
        if dtype != "F32":
            yield f"of another type: {quote(name)} is {dtype}, expected F32"
    for name in sorted(found):
        yield f"unexpected: {quote(name)}"
