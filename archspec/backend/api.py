"""A backend as one value, found by its entry point in the group `archspec.backends`.

A package defines `BACKEND = Backend(name="torch", emit=lazy("archspec_torch.source:emit"), ...)`.
Fields are keywords: one that is misspelt or left out raises TypeError when the package is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from archspec._numpy import Array
from archspec.backend.file_tensor import FileTensors
from archspec.backend.memory_budget import MemoryBudget
from archspec.backend.model_file import FileRun
from archspec.backend.process_group import ProcessGroup
from archspec.backend.session import Mode, Precision, Session
from archspec.backend.tensor_layout import TensorLayout
from archspec.backend.trainer import Trainer, TrainerConfig
from archspec.ir.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class Gap:
    """The reason why a backend cannot lower an op.

    >>> Gap("plain-gelu", "numpy has no error function").code
    'plain-gelu'
    """

    code: str
    """A code of the backend's own, by which the gap can be searched for."""
    reason: str
    """The reason, as a clause that follows a colon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The origin of a build, as the head of the emitted source states it; each field is one
    line."""

    title: str
    """The network's name, and its paper if the spec names one."""
    spec: str
    """The spec's file name, without its folder."""
    sha256: str
    """The digest of the spec and of everything it extends, in hexadecimal."""
    summary: str
    """The parameters, multiply-adds and input shape."""
    version: str
    """The version of archspec."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A package that runs a framework's models, for a framework that has several to choose from.

    >>> Engine("jax", {"KERAS_BACKEND": "jax"}).package
    'jax'
    """

    package: str
    """The package to import; if it is missing, the engine is not installed."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """The environment variables that choose it, set before the framework is imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOption:
    """An option that builds for one backend have: `opset` becomes `--opset N`.

    >>> BuildOption(help="the version of the operators", parse=int, default=17).metavar
    'N'
    """

    help: str
    """The help text of the flag: a noun phrase, without a full stop."""
    parse: Callable[[str], Any] | type[bool]
    """The parser of the flag's text, which raises ValueError; `bool` for a flag without a value."""
    default: Any
    """The value when the flag is not given."""
    metavar: str = "N"
    """The name of the value in the help text."""


def never(_: BinaryIO) -> bool:
    """Recognize no file."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of file in which the framework's users keep weights."""

    name: str
    """The format's name, as in `state_dict`."""
    suffixes: tuple[str, ...]
    """The file suffixes that mean this format, each with its dot, in lower case."""
    read: Callable[[Path, MemoryBudget], FileTensors]
    """Return every tensor of a file by its own name, those of `Backend.tensor_layout` in ours.

    An array is in the framework's layout. Where a file tells more, as who multiplies by a matrix
    and from which side, a `FileTensor` says so: other projects' files are read by it. It runs
    nothing that the file holds. It charges the budget before it allocates, and raises
    ValueError for a file that is damaged or of another kind; a note on it (`add_note`) is shown as
    the fix.
    """
    write: Callable[[Path, Graph, Provenance, Mapping[str, Array]], None]
    """Write portable tensors, float32, by portable name, as a file that the framework loads.

    Further files beside it are allowed; the folder is empty when this is called.
    """
    recognizes: Callable[[BinaryIO], bool] = never
    """Return whether a file of any suffix is of this format, by its content; it never raises."""
    libraries: Mapping[str, Callable[[str, str], FileTensors]] = field(
        default_factory=dict[str, Any]
    )
    """Libraries of the framework's models, by package: a function from a model's name and the name
    of its weights (`default` for trained ones, `none` for random ones) to the tensors that a file
    of it would have."""


class Emit(Protocol):
    """The type of `Backend.emit`: it returns the files of a build by name, all but the weights.

    Its arguments are the checked graph, whose ops are all in `Backend.lowered`; the origin of the
    build, for the head of the source; `weights`, the portable checkpoint in the build's folder, for
    a format that holds weights or points at them; and the values of `Backend.options`, by name.

    The same arguments give the same bytes. The emitted source imports its framework, numpy and
    safetensors, and nothing of archspec.
    """

    def __call__(
        self, graph: Graph, provenance: Provenance, weights: Path | None = None, /, **options: Any
    ) -> Mapping[str, bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A framework that graphs can be emitted for.

    Arrays are numpy's; batches are [N, *input], channels first.

    Write the functions as `lazy("package.module:function")`, so that listing a backend imports
    neither its modules nor its framework. An exception in one of them is reported as a fault of the
    backend; a `Failure` is shown to the user as it is.
    """

    name: str
    """The name that `--backend` takes; the entry point has the same."""
    framework: str
    """The package that the models need, as it is imported."""
    extra: str
    """The extra of the distribution that installs the framework; empty if there is none."""
    lowered: Collection[str]
    """The ops that it can emit, by their names in specs."""
    gaps: Mapping[str, Gap]
    """The reason for each op that it cannot emit. `lowered` and `gaps` together are all ops."""
    emit: Emit
    """Return the files of a build by name; see `Emit`."""
    load: Callable[[Path], Any]
    """Return the framework's model, in eval mode, of a folder.

    It holds the files of `emit`, and `weights.safetensors`. The folder's own files are what is
    loaded. Once loaded, the weights file is not needed any more.
    """
    predict: Callable[[Any, Any], Any]
    """Return the main output [N, *output] of a model from `load` on a batch, both float32, in eval
    mode."""
    tensor_layout: Callable[[Graph], Mapping[str, TensorLayout]]
    """Return the framework's name and layout of every tensor of a graph, by portable name."""
    explain: Callable[[Graph, Node], str]
    """Return the code that one node becomes, in a line or more; `archspec explain-op` shows it."""
    open: Callable[[Path, Graph, Precision], Session]
    """Return a session on a build's folder and the graph it was built from; see `Session`."""
    modes: Collection[Mode]
    """The modes that its sessions can be compared in."""
    precisions: Collection[Precision]
    """The precisions that its sessions can compute in."""
    trainer: Callable[[Path, TrainerConfig], Trainer] | None = None
    """Return a trainer on a build's folder; None if the backend cannot train. See `Trainer`."""
    init_process_group: Callable[[], AbstractContextManager[ProcessGroup]] | None = None
    """Join the processes that torchrun started, for a block; None if it trains in one process
    only."""
    float32_constants: Mapping[str, str] = field(default_factory=dict[str, str])
    """The ops computed with a float32 constant even in float64, each with that constant."""
    formats: tuple[Format, ...] = ()
    """The kinds of weight files that its users have; empty if there are none."""
    file_runners: Mapping[str, Callable[[Path, Array], FileRun]] = field(
        default_factory=dict[str, Any]
    )
    """Functions that run the model in a file on a batch [N, *input], by the file's suffix. The file
    may be anyone's; it is run in a process of its own, and what it executes is the framework's."""
    program_suffixes: Collection[str] = ()
    """The suffixes of `file_runners` whose files are programs: to load one can run any code. They
    are run only if the user trusts them."""
    options: Mapping[str, BuildOption] = field(default_factory=dict[str, BuildOption])
    """The options of a build for it, by name."""
    engines: Mapping[str, Engine] = field(default_factory=dict[str, Engine])
    """The engines by name, the usual one first; empty if the framework runs its models itself."""
