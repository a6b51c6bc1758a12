"""Kinds of file that hold weights: portable, those of installed backends, and Caffe's.

>>> kinds = [kind for kind in file_kinds() if kind.backend in ("", "torch")]
>>> sorted(suffix for kind in kinds for suffix in kind.suffixes)
['.caffemodel', '.pt', '.pth', '.safetensors']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from archspec._files import (
    check_destination,
    check_file,
    flush_folder,
    move_files,
    open_file,
    staging_folder,
)
from archspec._numpy import Array
from archspec._version import __version__
from archspec.backend import (
    BackendError,
    FileTensors,
    Format,
    MemoryBudget,
    Provenance,
    TooLarge,
    available,
    require,
    require_imports,
    with_broken_backends,
)
from archspec.backend import find as find_backend
from archspec.backend.api import never
from archspec.diagnostics import Failure, UsageError, did_you_mean, library_words, quote, reason
from archspec.ir.graph import Graph
from archspec.weights import caffe, safetensors_file
from archspec.weights.checkpoint import CheckpointError

PORTABLE_SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file.

    `read` returns tensors by the file's own names; `backend` is the framework that gives the names,
    if one does.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, MemoryBudget], FileTensors]
    backend: str = ""
    format: Format | None = None
    recognizes: Callable[[BinaryIO], bool] = never


BUILTIN_KINDS = (
    FileKind(
        "safetensors",
        (PORTABLE_SUFFIX,),
        lambda path, _: safetensors_file.read_safetensors(path),
        recognizes=safetensors_file.is_safetensors,
    ),  # neither of them packs anything
    FileKind("caffemodel", (".caffemodel",), lambda path, _: caffe.read_caffemodel(path)),
)
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_COPIES = 4
"""Times the network's size that a file may hold: the tensors, two optimizer slots each, a mean."""


def file_kinds() -> Iterator[FileKind]:
    """Yield every known kind; frameworks need not be installed.

    A backend that cannot be imported has none.
    """
    yield from BUILTIN_KINDS
    for name in sorted(available()):
        try:
            backend = find_backend(name)
        except BackendError:
            continue
        for form in backend.formats:
            yield FileKind(form.name, form.suffixes, form.read, name, form, form.recognizes)


def kind_by_suffix(path: Path) -> FileKind:
    """Return the kind that a file's suffix stands for; raise `CheckpointError` for any other."""
    kinds = {suffix: kind for kind in reversed(list(file_kinds())) for suffix in kind.suffixes}
    if path.suffix.lower() not in kinds:
        help = with_broken_backends(f"known are {', '.join(sorted(kinds))}")
        raise CheckpointError(
            f"the suffix of {quote(path)} is that of no kind of weights", help=help
        )
    return kinds[path.suffix.lower()]


def kind_of_file(path: Path) -> FileKind:
    """Return the kind of a file that is there: by its suffix, or by its content if that is known.

    Raise `CheckpointError` if neither is that of any kind.
    """
    kinds = list(file_kinds())
    by_suffix = next((kind for kind in kinds if path.suffix.lower() in kind.suffixes), None)
    if not path.is_file():  # nothing else is opened: a pipe would be waited for
        return by_suffix or kind_by_suffix(path)
    if by_suffix is not None and by_suffix.recognizes is never:
        return by_suffix
    try:
        with open_file(path) as file:
            kinds.sort(key=lambda kind: kind is not by_suffix)  # the likeliest first
            kind = next((kind for kind in kinds if _is_of_kind(file, kind)), by_suffix)
            if kind is None:
                _check_hdf5(path, file)
    except OSError:  # whoever reads it says why
        kind = by_suffix
    return kind or kind_by_suffix(path)


def _is_of_kind(file: BinaryIO, kind: FileKind) -> bool:
    file.seek(0)
    return kind.recognizes(file)


def _check_hdf5(path: Path, file: BinaryIO) -> None:
    """Raise `CheckpointError` for a file of HDF5 alone, as `model.save_weights` writes it."""
    file.seek(0)
    if file.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
        help = "save the model whole, as `model.save('model.keras')`"
        raise CheckpointError(f"{quote(path)} is HDF5, which describes no layers", help=help)


def kind_of_backend(backend: str, path: Path) -> FileKind:
    """Return the backend's kind of file for this suffix; raise `UsageError` if it has none."""
    find_backend(backend)
    kinds = {
        suffix: kind
        for kind in reversed(list(file_kinds()))
        if kind.backend == backend
        for suffix in kind.suffixes
    }
    if not kinds:
        others = sorted({kind.backend for kind in file_kinds()} - {""})
        message = f"the backend {quote(backend)} has no kind of file for weights alone"
        raise UsageError(message, did_you_mean(backend, others, "backends that have one"))
    if path.suffix.lower() not in kinds:  # it would be taken for what it is not when it is read
        message = (
            f"the suffix of {quote(path)} is that of "
            f"no kind of file of the backend {quote(backend)}"
        )
        raise UsageError(message, help=f"known are {', '.join(sorted(kinds))}")
    return kinds[path.suffix.lower()]


def read_file(path: Path, kind: FileKind, graph: Graph | None = None) -> FileTensors:
    """Return a file's tensors by its own names.

    Raise `Failure` if it is damaged, or holds much more than the graph can need.
    """
    if kind.backend:
        require(find_backend(kind.backend))
    try:
        check_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"no file {quote(path)}") from None
    except OSError as error:
        raise CheckpointError(f"cannot read {quote(path)}: {reason(error)}") from None
    try:
        budget = MemoryBudget(path, extra=MAX_COPIES * _bytes(graph) if graph else 0)
        return _with_text_names(kind.read(path, budget))
    except Failure:
        raise
    except TooLarge as error:
        raise CheckpointError(f"{quote(path)} holds more than it can need: {error}") from error
    except Exception as error:  # frameworks raise what they like where a file is damaged
        if kind.backend:
            require_imports(find_backend(kind.backend), error)
        why = library_words(error)
        message = f"{quote(path)} is no {kind.name} file, or a damaged one: {why}"
        # A reader adds the way out as a note, where it knows one.
        raise CheckpointError(message, help=" ".join(getattr(error, "__notes__", ()))) from error


def _with_text_names(tensors: FileTensors) -> FileTensors:
    """Return the tensors; raise ValueError for a name that protobuf left as bytes."""
    for name in tensors:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"the name {quote(name)} is not UTF-8")
    return dict(tensors)


def _bytes(graph: Graph) -> int:
    """Return the size of a graph's tensors in double precision."""
    return 8 * sum(param.size for _, _, param in graph.parameters())


def write_file(
    path: Path, kind: FileKind, graph: Graph, sha256: str, tensors: Mapping[str, Array]
) -> None:
    """Write portable tensors as that kind of file, whole or not at all; raise `Failure`."""
    if kind.format is None:
        raise CheckpointError(
            f"{kind.name} files are read and not written",
            help="see `archspec weights export --help`",
        )
    require(find_backend(kind.backend))
    values = sum(param.size for _, _, param in graph.parameters())
    summary = f"{values:,} values in {len(tensors)} tensors"
    about = Provenance(
        title=graph.name, spec=graph.name, sha256=sha256, summary=summary, version=__version__
    )
    try:
        check_destination(path)
        with staging_folder(path) as staging:
            kind.format.write(staging / path.name, graph, about, tensors)
            _check_free(path, staging)
            flush_folder(staging)
            # A format may keep its data in files beside the one that names them.
            move_files(staging, path.parent, last=path.name)
    except Failure:
        raise
    except Exception as error:  # some frameworks raise RuntimeError if the disk is full
        require_imports(find_backend(kind.backend), error)
        raise write_failure(path, error) from error


def _check_free(path: Path, staging: Path) -> None:
    """Raise `Failure` if a file that a format keeps beside `path` would replace another."""
    for part in sorted(staging.iterdir()):
        if part.name != path.name and (path.parent / part.name).exists():
            raise Failure(
                f"{quote(path)} takes a file {quote(part.name)} beside it, which is there already",
                "choose another name, or move it away",
            )


def write_failure(path: Path, error: Exception) -> Failure:
    """Return the failure to raise when writing a file failed."""
    return Failure(f"cannot write {quote(path)}: {reason(error)}", "nothing was changed")
