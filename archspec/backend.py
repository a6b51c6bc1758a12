"""What a backend is: one value, found by its entry point in the group `archspec.backends`.

BACKEND = Backend(name="torch", framework="torch", extra="torch", lowered=..., gaps={}, emit=..., load=..., predict=...)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from archspec.diagnostics import Failure, did_you_mean, quote
from archspec.graph import Graph, Node
from archspec.group import Group
from archspec.session import Mode, Precision, Session
from archspec.trainer import Plan, Trainer
from archspec.types import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from archspec import lazy_numpy as np

GROUP = "archspec.backends"


@dataclass(frozen=True, slots=True)
class Gap:
    """An op that a backend cannot lower: a code of its own and the reason, in a sentence."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What emitted source says of itself in its head."""

    title: str
    spec: str
    sha256: str
    summary: str
    version: str


@dataclass(frozen=True, slots=True)
class Engine:
    """What a backend's models run on where that is a choice: the package, and the environment that chooses it."""

    package: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A choice that a build for this backend has beside the common ones: `opset` becomes `--opset N`.

    A `bool` is a flag. The parser turns the words of the command line into the value, raising ValueError.
    """

    help: str
    parse: Callable[[str], Any] | type[bool]
    default: Any
    metavar: str = "N"


@dataclass(frozen=True, slots=True)
class Native:
    """A tensor as the framework holds it: `name` there, `shape`, and `axes`, the neutral axes in the framework's order.

    >>> kernel = Native("conv/kernel", (3, 3, 64, 128), (2, 3, 1, 0))
    >>> kernel.out_of(np.zeros((128, 64, 3, 3))).shape
    (3, 3, 64, 128)
    >>> kernel.into((128, 64, 3, 3), np.zeros((3, 3, 64, 128))).shape
    (128, 64, 3, 3)
    """

    name: str
    shape: Shape
    axes: tuple[int, ...] = ()
    """Empty where the order is the neutral one."""

    def out_of(self, neutral: NDArray[Any]) -> NDArray[Any]:
        """From the neutral layout."""
        return neutral.transpose(self.axes or tuple(range(neutral.ndim))).reshape(self.shape)

    def into(self, shape: Shape, native: NDArray[Any]) -> NDArray[Any]:
        """Back to the neutral layout, of that shape."""
        axes = self.axes or tuple(range(len(shape)))
        return native.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))


class TooLarge(ValueError):
    """What a file holds takes more memory than it may."""


class Room:
    """How much memory what is read from files may take: a file can state any size, and unpack to any.

    It is four times the size of the files themselves, as half precision becomes single and what is unpacked is copied,
    with something for small ones, and `more`.
    """

    def __init__(self, *files: Path, more: int = 0) -> None:
        self.left = 2**26 + more
        self.files: set[Path] = set()
        for file in files:
            self.admit(file)

    def admit(self, file: Path) -> None:
        """Gives room for what lies in a file, once."""
        if file not in self.files:
            self.files.add(file)
            self.left += 4 * file.stat().st_size

    def take(self, size: int, what: str) -> None:
        """Uses some of it up; raises `TooLarge`, saying for what, where no more is left."""
        if size > self.left:
            raise TooLarge(f"{quote(what)} takes {size:,} bytes, where {self.left:,} are left")
        self.left -= size

    def unzip(self, archive: ZipFile, name: str) -> bytes:
        """A file of an archive; raises `TooLarge`, and ValueError where it is packed as no framework packs."""
        info = archive.getinfo(name)
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # others are unpacked by the block, of whatever size
            raise ValueError(f"{quote(name)} is packed in an unusual way")
        self.take(info.file_size, name)
        with archive.open(info) as file:
            return file.read(info.file_size)  # no more than is stated, whatever there is


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of file in which the framework's users keep weights.

    `read` gives the tensors by the names of `Backend.natives`, without running anything that the file holds, and within
    the room that it is given; `write` writes a file that the framework loads, from neutral tensors.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, Room], Mapping[str, NDArray[Any]]]
    write: Callable[[Path, Graph, About, Mapping[str, NDArray[Any]]], None]


class Emit(Protocol):
    """Gives the files of a build by name, all but the weights, which lie in the neutral checkpoint `weights`."""

    def __call__(
        self, graph: Graph, about: About, weights: Path | None = None, /, **options: Any
    ) -> Mapping[str, bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A framework that graphs can be emitted for.

    `emit` gives the files of a build; `load` turns a folder that holds them and `weights.safetensors` into the
    framework's model; `predict` runs it on a batch [N, *input] of float32 and returns the main output. `natives` says
    how the framework calls and lays out every tensor of a graph, `explain` shows what one node becomes, `open` gives
    a session on a build's folder, which can do what `modes` lists in the `precisions` listed. `trainer` gives a trainer
    on it, where the backend can train, and `join` enters the group of processes that torchrun has started, where they
    can train together.
    """

    name: str
    framework: str
    extra: str
    lowered: Collection[str]
    gaps: Mapping[str, Gap]
    emit: Emit
    load: Callable[[Path], Any]
    predict: Callable[[Any, Any], Any]
    natives: Callable[[Graph], Mapping[str, Native]]
    explain: Callable[[Graph, Node], str]
    open: Callable[[Path, Graph, Precision], Session]
    modes: Collection[Mode]
    precisions: Collection[Precision]
    trainer: Callable[[Path, Plan], Trainer] | None = None
    join: Callable[[], AbstractContextManager[Group]] | None = None
    mixed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Ops that the framework computes with a constant in float32 even in float64, and which constant that is."""
    formats: tuple[Format, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict[str, Option])
    engines: Mapping[str, Engine] = field(default_factory=dict[str, Engine])
    """By name, the usual one first; empty where the framework runs its models itself."""


class BackendError(Failure):
    """A backend that is unknown, broken, or whose framework is missing."""


@cache
def available() -> dict[str, EntryPoint]:
    """The installed backends by name; nothing is imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def find(name: str) -> Backend:
    """The backend of that name, whether or not its framework is installed; raises `BackendError`."""
    found = available()
    if name not in found:
        raise BackendError(f"unknown backend {quote(name)}", did_you_mean(name, found, "backends"), 2)
    try:
        backend: Any = found[name].load()
    except Exception as error:
        raise BackendError(f"the backend {quote(name)} cannot be imported: {error}") from error
    if not isinstance(backend, Backend):
        raise BackendError(f"the entry point {quote(name)} is no Backend value")
    return backend


def load(name: str) -> Backend:
    """The backend of that name, with its framework known to be installed; raises `BackendError`."""
    backend = find(name)
    require(backend)
    return backend


def require(backend: Backend, engine: str = "") -> None:
    """Raises `BackendError` with exit code 3 where the framework, or that engine's package, is not installed."""
    for package in (backend.framework, *([backend.engines[engine].package] if engine else [])):
        _require_package(backend, package)


def require_imports(backend: Backend, error: Exception) -> None:
    """Raises `BackendError` with exit code 3 where an error of a backend's own code is that a package is missing."""
    if isinstance(error, ImportError) and error.name:
        _require_package(backend, error.name.partition(".")[0])


def _require_package(backend: Backend, package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        message = f"the backend {quote(backend.name)} needs {package}, which is not installed"
        more = "" if package == backend.framework else f" {package}"
        raise BackendError(message, f"pip install {_source(backend)}{more}", 3)


def _source(backend: Backend) -> str:
    """The distribution that brings a backend, with its extra where it has one."""
    brought = [entry.dist.name for entry in entry_points(group=GROUP) if entry.name == backend.name and entry.dist]
    name = next(iter(brought), "archspec-nn")
    return f"'{name}[{backend.extra}]'" if backend.extra else name
