"""From a checked spec to a model: passes, weights, emitted files. The only place that knows the order.

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
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from archspec._numpy import Array
from archspec._version import __version__
from archspec.analysis.stats import stats
from archspec.backend import Backend, BackendError, Provenance
from archspec.backend import load as load_backend
from archspec.build_folder import WEIGHTS, manifest, replace_folder
from archspec.checks import check_graph
from archspec.diagnostics import Diagnostic, Failure, Note, Report, SpecError, did_you_mean, quote
from archspec.frontend.loader import Spec, read_spec
from archspec.ir.graph import Graph
from archspec.ir.types import format_shape
from archspec.passes import inference

Optimize = Literal["none", "inference"]


def load(
    spec: str | os.PathLike[str],
    *,
    sets: Iterable[str] = (),
    include: Iterable[str | os.PathLike[str]] = (),
    **args: Any,
) -> Spec:
    """The checked spec of a file, or of a shipped spec by its name; raises `SpecError` with every diagnostic.

    `args` give the network's arguments values, `sets` are overrides as on the command line, `include` are folders
    that `extends` may reach besides the spec's own.
    """
    found, diagnostics = check(spec, sets=sets, include=include, **args)
    if found is None:
        raise SpecError(diagnostics)
    return found


def check(
    spec: str | os.PathLike[str],
    *,
    sets: Iterable[str] = (),
    include: Iterable[str | os.PathLike[str]] = (),
    **args: Any,
) -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """As `load`, and gives the diagnostics instead of raising them; the spec is None where one is an error."""
    report = Report()
    try:
        with _gc_paused():
            read = read_spec(spec, [*sets], [Path(folder) for folder in include], args, report)
            if read is not None:
                check_graph(read[1], report)
    except SpecError:  # the report is full
        read = None
    if read is None or report.failed:
        return None, report.diagnostics
    return replace(read[0], warnings=report.diagnostics), report.diagnostics


@contextmanager
def _gc_paused() -> Generator[None]:
    """While a large tree grows, the garbage collector only walks it over and over: two thirds of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class CompiledSpec:
    """What a build consists of before anything is written: the graph that is emitted, and its weights."""

    graph: Graph
    weights: Mapping[str, Array]
    notes: tuple[str, ...] = ()
    """What whoever takes these weights should know."""


def compile_spec(
    spec: Spec,
    backend: Backend,
    *,
    seed: int = 0,
    weights: Path | None = None,
    optimize: Optimize = "none",
    any_spec: bool = False,
    allow_nonfinite: bool = False,
    fresh: Sequence[str] = (),
) -> CompiledSpec:
    """The graph that a backend is to emit, with seeded weights or those of a file of any kind; nothing is written.

    What the file has for parts that `optimize` leaves out is left out too. Tensors that are named as one of the
    patterns `fresh` are seeded all the same.
    """
    from archspec.weights import read
    from archspec.weights.init import initial

    if optimize not in (known := get_args(Optimize)):
        raise Failure(
            f"unknown optimization {quote(optimize)}",
            did_you_mean(optimize, known, "optimizations"),
            2,
        )
    graph = inference.run(spec.graph) if optimize == "inference" else spec.graph
    _refuse_gaps(graph, backend)
    _refuse_size(graph)
    if weights is None:
        return CompiledSpec(graph, initial(graph, seed, spec.document.init))
    loaded = read(
        weights, spec, graph=graph, any_spec=any_spec, allow_nonfinite=allow_nonfinite, fresh=fresh
    )
    seeded = initial(graph, seed, spec.document.init) if fresh else {}
    return CompiledSpec(graph, {**seeded, **loaded.tensors}, loaded.notes)


def provenance(spec: Spec) -> Provenance:
    """What the emitted source says of itself."""
    counts = stats(spec)
    unit, scale = ("G", 1e9) if counts.macs >= 1e8 else ("M", 1e6)
    macs = f"{counts.macs / scale:.3f} {unit}MACs"
    summary = f"{counts.params:,} parameters, {macs} at {format_shape(counts.input)}"
    origin = spec.document.source
    title = f"{spec.name}. {origin}" if origin else spec.name
    return Provenance(
        title=title,
        spec=Path(spec.path).name,
        sha256=spec.sha256,
        summary=summary,
        version=__version__,
    )


def write(
    spec: Spec,
    backend: Backend,
    folder: Path,
    *,
    seed: int = 0,
    weights: Path | None = None,
    optimize: Optimize = "none",
    options: Mapping[str, Any] | None = None,
    any_spec: bool = False,
    allow_nonfinite: bool = False,
    fresh: Sequence[str] = (),
    remark: Callable[[str], object] = str,
) -> Path:
    """Builds into a folder: all of it or nothing; a folder that holds anything else than a build is refused.

    `options` are the backend's own, by the names that it declares; `remark` is told what one should know of `weights`,
    of which tensors named as one of the patterns `fresh` are not taken.
    """
    from archspec.weights.checkpoint import origin, save

    chosen = {name: option.default for name, option in backend.options.items()}
    for name, value in (options or {}).items():
        if name not in chosen:
            message = f"the backend {quote(backend.name)} has no option {quote(name)}"
            raise Failure(message, did_you_mean(name, chosen, "options"), 2)
        chosen[name] = value

    def fill(staging: Path) -> None:
        built = compile_spec(
            spec,
            backend,
            seed=seed,
            weights=weights,
            optimize=optimize,
            any_spec=any_spec,
            allow_nonfinite=allow_nonfinite,
            fresh=fresh,
        )
        for note in built.notes:
            remark(note)
        # The weights come first: a format that holds them, or points into them, is made from this file.
        save(staging / WEIGHTS, built.weights, origin(built.graph, spec.sha256))
        for name, content in backend.emit(
            built.graph, provenance(spec), staging / WEIGHTS, **chosen
        ).items():
            (staging / name).write_bytes(content)
        source: dict[str, Any] = {"weights": weights.name} if weights else {"seed": seed}
        source |= {"fresh": [*fresh], "seed": seed} if weights and fresh else {}
        facts = manifest(spec, backend, built.graph, staging, source)
        # A byte of a file's name that is no UTF-8 becomes \udcff, as JSON escapes it.
        (staging / "manifest.json").write_text(facts, encoding="utf-8", errors="backslashreplace")

    return replace_folder(folder, fill)


def build(
    spec: Spec | str | os.PathLike[str],
    backend: str = "torch",
    *,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    optimize: Optimize = "none",
    options: Mapping[str, Any] | None = None,
    any_spec: bool = False,
    allow_nonfinite: bool = False,
    **args: Any,
) -> Any:
    """The framework's model of a spec: an nn.Module for torch, in eval mode.

    It is loaded from the very source that `archspec build` writes. `options` are the backend's own, as in
    `{"opset": 17}`; `args` give the spec's arguments values.
    """
    if isinstance(spec, Spec) and args:
        raise TypeError(f"the spec is loaded already: give {', '.join(args)} to archspec.load")
    found = spec if isinstance(spec, Spec) else load(spec, **args)
    engine = load_backend(backend)
    folder = Path(
        tempfile.mkdtemp(dir=_scratch())
    )  # a name of its own, though threads build at once
    write(
        found,
        engine,
        folder,
        seed=seed,
        weights=Path(weights) if weights else None,
        optimize=optimize,
        options={name: _checked(engine, name, value) for name, value in (options or {}).items()},
        any_spec=any_spec,
        allow_nonfinite=allow_nonfinite,
    )
    model = engine.load(folder)
    # The source stays for tracebacks and TorchScript; the weights are in the model now.
    (folder / WEIGHTS).unlink()
    return model


def _checked(backend: Backend, name: str, value: Any) -> Any:
    """An option's value as the command line would have it; one that the backend has not is left for `write`."""
    option = backend.options.get(name)
    if option is None or (option.parse is bool and isinstance(value, bool)):
        return value
    try:
        if option.parse is bool:
            raise ValueError(f"expected True or False, found {value!r}")
        return option.parse(str(value))
    except ValueError as error:
        raise BackendError(
            f"the option {quote(name)} of the backend {quote(backend.name)}: {error}", exit_code=2
        ) from error


_folders: list[tempfile.TemporaryDirectory[str]] = []


def _scratch() -> str:
    if not _folders:
        _folders.append(tempfile.TemporaryDirectory(prefix="archspec-"))
        atexit.register(_folders[0].cleanup)
    return _folders[0].name


def _refuse_gaps(graph: Graph, backend: Backend) -> None:
    """A graph with ops that the backend cannot lower is refused, each with its place and the reason."""
    missing = {
        node.op.kind: node for node in graph.nodes[1:] if node.op.kind not in backend.lowered
    }
    if missing:
        lines = (
            f"{quote(kind)} at {node.span}{_reason(backend, kind)}"
            for kind, node in missing.items()
        )
        raise Failure(f"the backend {quote(backend.name)} cannot build\n  " + "\n  ".join(lines))


def _reason(backend: Backend, kind: str) -> str:
    gap = backend.gaps.get(kind)
    return f": {gap.reason} ({gap.code})" if gap else ""


def _refuse_size(graph: Graph) -> None:
    """The compiler counts what it could never hold, and builds only what fits this machine's memory."""
    sizes = [(4 * param.size, name, node) for name, node, param in graph.parameters()]
    total = sum(size for size, _, _ in sizes)
    memory = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if hasattr(os, "sysconf")
        else 2**35
    )
    if 2 * total > memory:
        size, name, node = max(sizes, key=lambda s: s[0])
        message = f"the weights need {total / 2**30:,.1f} GiB, more than half of this machine's {memory / 2**30:,.1f} GiB"
        notes = (Note(f"{name} alone needs {size / 2**30:,.1f} GiB"),)
        raise SpecError(
            [
                Diagnostic(
                    "AS0801",
                    message,
                    node.span,
                    notes=notes,
                    help="`archspec stats` still counts it",
                )
            ]
        )
