"""What a backend is: one value, found by its entry point in the group `archspec.backends`.

BACKEND = Backend(name="torch", framework="torch", extra="torch", lowered=..., gaps={}, emit=..., load=..., predict=...)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from archspec._numpy import Array
from archspec.backend.memory_budget import MemoryBudget
from archspec.backend.process_group import ProcessGroup
from archspec.backend.session import Mode, Precision, Session
from archspec.backend.tensor_layout import TensorLayout
from archspec.backend.trainer import Trainer, TrainerConfig
from archspec.ir.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class Gap:
    """An op that a backend cannot lower: a code of its own and the reason, in a sentence."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of file in which the framework's users keep weights.

    `read` gives the tensors by the names of `Backend.natives`, without running anything that the file holds, and within
    the room that it is given; `write` writes a file that the framework loads, from neutral tensors.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, MemoryBudget], Mapping[str, Array]]
    write: Callable[[Path, Graph, Provenance, Mapping[str, Array]], None]


class Emit(Protocol):
    """Gives the files of a build by name, all but the weights, which lie in the neutral checkpoint `weights`."""

    def __call__(
        self, graph: Graph, about: Provenance, weights: Path | None = None, /, **options: Any
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
    tensor_layout: Callable[[Graph], Mapping[str, TensorLayout]]
    explain: Callable[[Graph, Node], str]
    open: Callable[[Path, Graph, Precision], Session]
    modes: Collection[Mode]
    precisions: Collection[Precision]
    trainer: Callable[[Path, TrainerConfig], Trainer] | None = None
    init_process_group: Callable[[], AbstractContextManager[ProcessGroup]] | None = None
    float32_constants: Mapping[str, str] = field(default_factory=dict[str, str])
    """Ops that the framework computes with a constant in float32 even in float64, and which constant that is."""
    formats: tuple[Format, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict[str, Option])
    engines: Mapping[str, Engine] = field(default_factory=dict[str, Engine])
    """By name, the usual one first; empty where the framework runs its models itself."""
