"""A run's folder: a build as `archspec build` writes it, and beside it what was run, on what, and how far it came.

RUN/ holds `run.json` (below), `spec.yaml`, `checkpoints/`, `metrics.jsonl` and a file of events, and when it has ended
`metrics.csv`, `curves.svg` and `best.safetensors`.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from archspec._version import __version__
from archspec.backend import Backend
from archspec.diagnostics import Failure, quote, writing
from archspec.frontend.loader import Spec
from archspec.frontend.show import show
from archspec.ir.recipe import Recipe
from archspec.train.data import Data, Sample
from archspec.train.data.builtin import PACKAGED
from archspec.train.data.source import Content, samples
from archspec.weights.fingerprint import fingerprint

FACTS, SPEC = "run.json", "spec.yaml"
KEPT = ("optimizer", "average", "batch", "freeze", "seed")
"""What a run cannot change on the way: what it remembers, or the order of its data, would mean something else."""


def facts(
    spec: Spec, backend: Backend, device: str, recipe: Recipe, data: Data, share: float
) -> dict[str, Any]:
    """What `run.json` says of a run."""
    stated = spec.document.preprocess
    return {
        "commands": [],
        "trained": 0,  # the steps behind the weights that the build has
        "spec": {
            "name": spec.name,
            "file": spec.path,
            "sha256": spec.sha256,
            "args": dict(spec.args),
        },
        "network": fingerprint(spec.graph),
        "preprocess": stated.model_dump(mode="json") if stated else None,
        "data": called(data.name),
        "held_out": share,
        "samples": known(data),
        "classes": list(data.classes),
        "recipe": recipe.model_dump(mode="json"),
        "backend": backend.name,
        "device": device,
        "platform": platform.platform(),
        "versions": _versions(backend),
    }


def repeatable(backend: Backend, command: Sequence[str]) -> str:
    """The command as a line for a shell, from any folder: with what was set that chooses the backend's engine."""
    names = sorted({name for engine in backend.engines.values() for name in engine.environment})
    chosen = [f"{name}={shlex.quote(os.environ[name])}" for name in names if name in os.environ]
    return f"cd {shlex.quote(str(Path.cwd()))} && {' '.join([*chosen, shlex.join(command)])}"


def called(data: str) -> str:
    """How a run names its data, from whatever folder: a packaged set as such, and anything else by its path."""
    return data if data in PACKAGED else str(Path(data).resolve())


def known(data: Data) -> dict[str, Any]:
    """Which samples are trained on and which are held out: how many, and a digest of both."""
    found = sha256()
    for source in (data.train, data.held_out):
        for sample in samples(source):
            found.update(b"%b\0%d\0%b\0" % (_bytes(sample.name), sample.label, _content(sample)))
        found.update(b"\0")
    return {"train": len(data.train), "held_out": len(data.held_out), "digest": found.hexdigest()}


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _content(sample: Sample) -> bytes:
    """All that lies in memory; of what lies in a file the size, since reading all files takes as long as an epoch."""
    picture = sample.picture
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, Content):
        return b"%d" % picture.size
    if isinstance(picture, Path):
        try:
            return b"%d" % picture.stat().st_size
        except OSError:  # a sample that cannot be read is told of where it is read
            return b""
    return b"%b %b" % (str(picture.shape).encode(), picture.tobytes())


def _versions(backend: Backend) -> dict[str, str]:
    found = {"archspec": __version__, "python": platform.python_version()}
    engines = [engine.package for engine in backend.engines.values()]
    for package in dict.fromkeys(("numpy", "pillow", "grain", backend.framework, *engines)):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def read_facts(folder: Path) -> dict[str, Any]:
    """What `run.json` says; raises `Failure` where the folder is no run's."""
    try:
        found: Any = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    kept = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    typed = {
        "commands": list,
        "data": str,
        "held_out": float | int,
        "samples": dict,
        "recipe": dict,
    }
    typed |= {"classes": list, "trained": int}
    if not all(isinstance(kept.get(name), kind) for name, kind in typed.items()):
        raise Failure(
            f"{quote(folder)} holds no run", "`archspec train SPEC --data DATA -o DIR` makes one"
        )
    return kept


def write_facts(folder: Path, values: Mapping[str, Any], spec: Spec) -> None:
    """Writes `run.json` and `spec.yaml`; raises `Failure` where that cannot be."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    with writing(folder):
        for name, content in ((SPEC, show(spec.tree)), (FACTS, text)):
            staging = folder / f".{name}"
            # A byte of a file's name that is no UTF-8 becomes \udcff, as JSON escapes it.
            staging.write_text(content, encoding="utf-8", errors="backslashreplace")
            staging.replace(folder / name)


def refuse_another(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises `Failure` where a run would go on with other data, or with what its memory does not fit."""
    if (before["samples"], before["classes"]) != (now["samples"], now["classes"]):
        message = f"{quote(folder)} was trained on {quote(before['data'])}, holding out {before['held_out']:g}"
        raise Failure(
            f"{message}; these are other samples", "what was held out may not be trained on"
        )
    if before.get("network") != now["network"]:
        message = f"{quote(folder)} was trained as another network"
        raise Failure(
            message, "`-o` names another folder, and --weights what is taken over from this one"
        )
    if before.get("preprocess") != now["preprocess"]:
        raise Failure(
            f"{quote(folder)} was trained with another `preprocess`",
            "its scores would be of other inputs",
        )
    changed = [name for name in KEPT if before["recipe"].get(name) != now["recipe"].get(name)]
    if changed:
        was, name = before["recipe"].get(changed[0]), changed[0]
        message = f"{quote(folder)} was trained with `{name}` {was}, and cannot go on with {now['recipe'][name]}"
        raise Failure(
            message,
            "start a new run, with --weights from a checkpoint of this one if that is meant",
        )
