"""From a checked spec to a model: passes, weights, emitted files, in this order.

>>> import archspec
>>> model = archspec.build("lenet5", backend="torch")
>>> sum(p.numel() for p in model.parameters())
61706
"""

from __future__ import annotations

import atexit
import gc
import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from archspec._files import scratch_folder
from archspec._numpy import Array
from archspec._version import __version__
from archspec.backend import Backend, Provenance, attributed
from archspec.backend import load as load_backend
from archspec.build_folder import (
    MANIFEST,
    WEIGHTS,
    manifest_text,
    record_build,
    replace_folder,
)
from archspec.checks import check_graph
from archspec.diagnostics import (
    Diagnostic,
    Failure,
    Note,
    Report,
    SpecError,
    UsageError,
    did_you_mean,
    quote,
)
from archspec.diagnostics.pasted import note_pasted
from archspec.frontend.loader import Spec, read_spec
from archspec.ir.graph import Graph
from archspec.ir.types import format_shape
from archspec.passes import inference
from archspec.weights.weight_source import SEED_0, WeightSource

Optimize = Literal["none", "inference"]


def load(
    spec: str | os.PathLike[str],
    *,
    sets: Iterable[str] = (),
    include: Iterable[str | os.PathLike[str]] = (),
    **args: Any,
) -> Spec:
    """Return the checked spec of a file, or of a shipped spec by its name.

    `args` are values of the network's arguments, `sets` are overrides as on the command line,
    `include` are folders that `extends` may reach besides the spec's own. Raise `SpecError` with
    every diagnostic if there is an error.
    """
    checked, diagnostics = check(spec, sets=sets, include=include, **args)
    if checked is None:
        raise SpecError(diagnostics)
    return checked


def check(
    spec: str | os.PathLike[str],
    *,
    sets: Iterable[str] = (),
    include: Iterable[str | os.PathLike[str]] = (),
    check_outputs: bool = False,
    **args: Any,
) -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """Return the spec, None if it has an error, and every diagnostic; otherwise like `load`.

    `check_outputs` compares each `output` with what its step gives, even where it is stated for
    another input than the network has.
    """
    report = Report()
    try:
        with _gc_paused():
            folders = [Path(folder) for folder in include]
            read = read_spec(spec, [*sets], folders, args, report, check_outputs=check_outputs)
            if read is not None:
                check_graph(read[1], report)
    except SpecError:  # the report is full
        read = None
    diagnostics = note_pasted(report.diagnostics)
    if read is None or report.failed:
        return None, diagnostics
    return replace(read[0], warnings=diagnostics), diagnostics


@contextmanager
def _gc_paused() -> Generator[None]:
    """Pause the garbage collector during the block."""
    # While a large tree grows, it only walks that over and over: two thirds of the time.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class CompiledSpec:
    """A build before anything is written: the graph to emit, and its weights."""

    graph: Graph
    weights: Mapping[str, Array]
    notes: tuple[str, ...] = ()
    """Remarks for whoever takes these weights."""


def compile_spec(
    spec: Spec,
    backend: Backend,
    weights: WeightSource = SEED_0,
    *,
    optimize: Optimize = "none",
) -> CompiledSpec:
    """Return the graph that a backend is to emit, and its weights; write nothing.

    Tensors of the file for parts that `optimize` removes are dropped. Raise `Failure` if the
    backend cannot build the graph or the weights do not fit it.
    """
    if optimize not in (choices := get_args(Optimize)):
        raise UsageError(
            f"unknown optimization {quote(optimize)}",
            did_you_mean(optimize, choices, "optimizations"),
        )
    graph = inference.inference_graph(spec.graph) if optimize == "inference" else spec.graph
    _check_lowered(graph, backend)
    _check_size(graph)
    return _with_weights(spec, graph, weights)


def _with_weights(spec: Spec, graph: Graph, weights: WeightSource) -> CompiledSpec:
    from archspec.weights import load_from
    from archspec.weights.init import initial_tensors

    if weights.path is None:
        return CompiledSpec(graph, initial_tensors(graph, weights.seed, spec.document.init))
    loaded = load_from(weights, spec, graph=graph)
    if not weights.reinit:
        return CompiledSpec(graph, loaded.tensors, loaded.notes)
    initial = initial_tensors(graph, weights.seed, spec.document.init)
    return CompiledSpec(graph, {**initial, **loaded.tensors}, loaded.notes)


def provenance(spec: Spec) -> Provenance:
    """Return the facts that emitted source states about itself."""
    counts = spec.stats
    unit, scale = ("G", 1e9) if counts.macs >= 1e8 else ("M", 1e6)
    macs = f"{counts.macs / scale:.3f} {unit}MACs"
    summary = f"{counts.params:,} parameters, {macs} at {format_shape(counts.input)}"
    origin = spec.document.source
    return Provenance(
        title=f"{spec.name}. {origin}" if origin else spec.name,
        spec=Path(spec.path).name,
        sha256=spec.sha256,
        summary=summary,
        version=__version__,
    )


def write_build(
    spec: Spec,
    backend: Backend,
    folder: Path,
    weights: WeightSource = SEED_0,
    *,
    optimize: Optimize = "none",
    options: Mapping[str, Any] | None = None,
    record: bool = True,
    on_note: Callable[[str], object] = str,
) -> Path:
    """Build a spec into a folder, whole or not at all, and return the folder.

    `options` are the backend's own, by the names that it declares; `on_note` is called with each
    remark. Commands run the build without `--trust` if `record` is set. Raise `Failure` if the
    folder holds anything but a build.
    """
    from archspec.weights.checkpoint import network_metadata, save_checkpoint

    chosen = _chosen_options(backend, options or {})

    def fill(staging: Path) -> None:
        built = compile_spec(spec, backend, weights, optimize=optimize)
        for note in built.notes:
            on_note(note)
        # The weights come first: a format that holds them, or points into them, is made from this
        # file.
        stored = staging / WEIGHTS
        save_checkpoint(stored, built.weights, network_metadata(built.graph, spec.sha256))
        with attributed(backend.name, f"emitting {quote(spec.name)}"):
            emitted = backend.emit(built.graph, provenance(spec), stored, **chosen)
        for name, content in emitted.items():
            (staging / name).write_bytes(content)
        text = manifest_text(spec, backend, built.graph, staging, _weights_entry(weights))
        # A byte of a file's name that is not UTF-8 becomes \udcff, as JSON escapes it.
        (staging / MANIFEST).write_text(text, encoding="utf-8", errors="backslashreplace")

    replace_folder(folder, fill, on_note)
    if record:
        record_build(folder, on_note)
    return folder


def _chosen_options(backend: Backend, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each of the backend's options; raise `UsageError` for any other name."""
    chosen = {name: option.default for name, option in backend.options.items()}
    for name, value in options.items():
        if name not in chosen:
            raise UsageError(
                f"the backend {quote(backend.name)} has no option {quote(name)}",
                did_you_mean(name, chosen, "options"),
            )
        chosen[name] = value
    return chosen


def _weights_entry(weights: WeightSource) -> dict[str, Any]:
    """Return what a manifest says about the weights."""
    if weights.path is None:
        return {"seed": weights.seed}
    entry: dict[str, Any] = {"weights": weights.path.name}
    if weights.reinit:
        entry |= {"reinit": [*weights.reinit], "seed": weights.seed}
    return entry


def build(
    spec: Spec | str | os.PathLike[str],
    backend: str = "torch",
    *,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    optimize: Optimize = "none",
    options: Mapping[str, Any] | None = None,
    reinit: Iterable[str] = (),
    ignore_spec: bool = False,
    allow_nonfinite: bool = False,
    **args: Any,
) -> Any:
    """Return the framework's model of a spec: for torch, an nn.Module in eval mode.

    It is loaded from the very source that `archspec build` writes. `options` are the backend's own,
    as in `{"opset": 17}`. Tensors whose names match a pattern of `reinit` are initialised from
    `seed` although `weights` may have them. `args` are values of the spec's arguments.
    """
    if isinstance(spec, Spec) and args:
        raise TypeError(f"the spec is loaded already: give {', '.join(args)} to archspec.load")
    loaded = spec if isinstance(spec, Spec) else load(spec, **args)
    engine = load_backend(backend)
    # A new folder for each model, since threads may build at once.
    folder = Path(tempfile.mkdtemp(dir=_model_folder()))
    path = Path(weights) if weights else None
    write_build(
        loaded,
        engine,
        folder,
        WeightSource(path, seed, tuple(reinit), ignore_spec, allow_nonfinite),
        optimize=optimize,
        options={name: _parsed(engine, name, value) for name, value in (options or {}).items()},
        record=False,
    )
    with attributed(engine.name, "loading the model it emitted"):
        model = engine.load(folder)
    # The source stays for tracebacks and TorchScript; the weights are in the model now.
    (folder / WEIGHTS).unlink()
    return model


def _parsed(backend: Backend, name: str, value: Any) -> Any:
    """Return an option's value as the command line would parse it.

    A name that the backend does not have is left for `write_build` to refuse.
    """
    option = backend.options.get(name)
    if option is None or (option.parse is bool and isinstance(value, bool)):
        return value
    try:
        if option.parse is bool:
            raise ValueError(f"expected True or False, found {value!r}")
        return option.parse(str(value))
    except ValueError as error:
        message = f"the option {quote(name)} of the backend {quote(backend.name)}: {error}"
        raise UsageError(message) from error


_model_folders: dict[int, Path] = {}
"""The folder of each process, by its number: a forked process has its parent's entry too."""


def _model_folder() -> Path:
    """Return the folder in which this process keeps the source of its models, until it ends."""
    process = os.getpid()
    if process not in _model_folders:
        stack = ExitStack()
        # A forked process calls this at its end too, and removes nothing of its parent's.
        atexit.register(stack.close)
        _model_folders[process] = stack.enter_context(scratch_folder())
    return _model_folders[process]


def _check_lowered(graph: Graph, backend: Backend) -> None:
    """Raise `Failure` for ops that the backend cannot lower, each with its location and reason."""
    missing = {
        node.op.kind: node for node in graph.nodes[1:] if node.op.kind not in backend.lowered
    }
    if missing:
        lines = (
            f"{quote(kind)} at {node.span}{_gap_reason(backend, kind)}"
            for kind, node in missing.items()
        )
        raise Failure(f"the backend {quote(backend.name)} cannot build\n  " + "\n  ".join(lines))


def _gap_reason(backend: Backend, kind: str) -> str:
    gap = backend.gaps.get(kind)
    return f": {gap.reason} ({gap.code})" if gap else ""


def _check_size(graph: Graph) -> None:
    """Raise `SpecError` if the weights would fill more than half of this machine's memory.

    The compiler counts what it could never hold; it builds only what fits.
    """
    sizes = [(4 * param.size, name, node) for name, node, param in graph.parameters()]
    total = sum(size for size, _, _ in sizes)
    memory = _memory_size()
    if 2 * total <= memory:
        return
    size, name, node = max(sizes, key=lambda s: s[0])
    message = (
        f"the weights need {total / 2**30:,.1f} GiB, "
        f"more than half of this machine's {memory / 2**30:,.1f} GiB"
    )
    diagnostic = Diagnostic(
        "AS0801",
        message,
        node.span,
        notes=(Note(f"{name} alone needs {size / 2**30:,.1f} GiB"),),
        help="`archspec stats` still counts it",
    )
    raise SpecError([diagnostic])


def _memory_size() -> int:
    """Return this machine's memory in bytes; 32 GiB where the system does not say."""
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 2**35
