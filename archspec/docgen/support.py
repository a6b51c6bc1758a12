"""Abilities of each backend, from its value and the metadata of packages; no framework is imported.

>>> torch = support("torch")
>>> torch.title, torch.gaps, torch.fault
('torch', {}, '')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec

from archspec.analysis.tables import Column, Table, markdown
from archspec.backend import Backend, BackendError, BuildOption, Gap, available, find, require
from archspec.ops import OPS


@dataclass(frozen=True, slots=True)
class Package:
    """A package of a backend or of one of its engines; `version` is empty if not installed."""

    name: str
    version: str
    engine: str = ""
    usual: bool = False
    install: str = ""
    """The command that installs it, if it is missing."""


@dataclass(frozen=True, slots=True)
class Support:
    """An entry point: its backend and the packages that it needs, or a `fault` if it fails."""

    title: str
    backend: Backend | None = None
    framework: Package | None = None
    engines: tuple[Package, ...] = ()
    gaps: Mapping[str, Gap] = field(default_factory=dict[str, Gap])
    fault: str = ""


UNLISTED = Gap("", "the backend does not know it")
"""The gap of an op that a backend neither lowers nor lists, such as one added later."""


def support(name: str) -> Support:
    """Describe the backend of that name; a broken one is described too, and not raised."""
    try:
        backend = find(name)
        usual = next(iter(backend.engines), "")
        engines = tuple(_package(backend, engine, engine == usual) for engine in backend.engines)
        return Support(name, backend, _package(backend), engines, gaps(backend))
    except (Exception, SystemExit) as error:  # a third party's code runs here
        return Support(
            name,
            fault=error.message if isinstance(error, BackendError) else f"it is broken: {error}",
        )


def installed() -> list[Support]:
    """Return every entry point, by name."""
    return [support(name) for name in sorted(available())]


def gaps(backend: Backend) -> dict[str, Gap]:
    """Return the gap of each op that a backend does not lower, in the order of the ops."""
    return {kind: backend.gaps.get(kind, UNLISTED) for kind in OPS if kind not in backend.lowered}


def _package(backend: Backend, engine: str = "", usual: bool = False) -> Package:
    name = backend.engines[engine].package if engine else backend.framework
    if find_spec(name) is not None:
        return Package(name, version(name), engine, usual)
    try:
        require(backend, engine)
    except BackendError as error:
        return Package(name, "", engine, usual, error.help)
    return Package(name, "", engine, usual)


def version(package: str) -> str:
    """Return the version of a package's distribution, which may have another name."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        names = metadata.packages_distributions().get(package, ())
        return metadata.version(names[0]) if names else "of unknown version"


# The support matrix.


def matrix(backends: Sequence[Backend], kinds: Sequence[str] = ()) -> Table:
    """Return a row for each op of `kinds`, by default all, and a column for each backend.

    A cell is `yes`, or the code of the gap.
    """
    missing = [gaps(backend) for backend in backends]
    rows = [
        (kind, *(_verdict(backend_gaps.get(kind)) for backend_gaps in missing))
        for kind in kinds or OPS
    ]
    return Table((Column("op"), *(Column(backend.name) for backend in backends)), tuple(rows))


def _verdict(gap: Gap | None) -> str:
    return "yes" if gap is None else gap.code or "no"


def reasons(backends: Sequence[Backend], kinds: Sequence[str] = ()) -> list[str]:
    """Return a sentence for each gap in the matrix."""
    return [
        f"{kind} on {backend.name}: {gap.reason}" + (f" ({gap.code})" if gap.code else "")
        for backend in backends
        for kind, gap in gaps(backend).items()
        if kind in (kinds or OPS)
    ]


def page(backends: Sequence[Backend]) -> str:
    """Return the page of the docs: abilities of these backends, and the ops that they lower."""
    able = Table(
        tuple(
            map(Column, ("backend", "extra", "engines", "modes", "precisions", "files of weights"))
        ),
        tuple(_abilities(backend) for backend in backends),
    )
    parts = [_INTRO, markdown(able), "\n"]
    for backend in (backend for backend in backends if backend.options):
        rows = tuple((_flag(name, o), _meaning(o)) for name, o in backend.options.items())
        parts += [
            f"\n## Options of {backend.name}\n\n",
            f"`archspec build --backend {backend.name}` takes these too:\n\n",
        ]
        parts += [markdown(Table((Column("option"), Column("meaning")), rows)), "\n"]
    parts += ["\n## Ops\n\n", _OPS, markdown(matrix(backends)), "\n"]
    sentences = reasons(backends)
    return "".join(parts) + (
        "\n" + "".join(f"- {text}\n" for text in sentences) if sentences else ""
    )


_INTRO = """\
<!-- Written by `make generate`, from what the backends declare. -->
# Backends

The abilities of each backend; `archspec backends` lists the installed ones. Of several engines the
first is the default, and `archspec verify --backends NAME@ENGINE` selects another. The modes are
those of [`verify`](command-line.md#verify).

"""

_OPS = """\
`yes`: every field of the op, with the [meaning](../concepts/semantics.md) defined by the reference.
A gap has a code, and its reason is below the table; `build` refuses a spec that needs the op.
`archspec explain-op OP` shows what an op becomes.

"""


def _abilities(backend: Backend) -> tuple[str, ...]:
    suffixes = [suffix for form in backend.formats for suffix in form.suffixes]
    parts = (backend.engines, backend.modes, backend.precisions, suffixes)
    return (backend.name, backend.extra, *(", ".join(part) for part in parts))


def _flag(name: str, option: BuildOption) -> str:
    return f"--{name.replace('_', '-')}" + ("" if option.parse is bool else f" {option.metavar}")


def _meaning(option: BuildOption) -> str:
    return option.help if option.parse is bool else f"{option.help} (default: {option.default})"
