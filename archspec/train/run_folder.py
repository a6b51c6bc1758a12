"""A run's folder: a build as `archspec build` writes it, and beside it how it was trained.

RUN/ holds `run.json` (below), `spec.yaml`, `samples.jsonl.gz`, `checkpoints/`, `metrics.jsonl` and
an event file for TensorBoard; once it has ended, `metrics.csv`, `curves.svg` and
`best.safetensors` too.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import shlex
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from archspec._files import write_text
from archspec._json import Digest, Record, Text, read_plain, reading_json
from archspec._version import __version__
from archspec.backend import Backend
from archspec.diagnostics import Failure, quote, writing
from archspec.diagnostics.render import visible
from archspec.frontend.loader import Spec
from archspec.frontend.yaml_writer import annotated_yaml
from archspec.ir.recipe import Recipe
from archspec.ir.types import Natural
from archspec.train.data import SplitData
from archspec.train.data.builtin import BUILTIN
from archspec.train.sample_record import describe_samples
from archspec.weights.fingerprint import fingerprint

RUN_FILE, SPEC_FILE = "run.json", "spec.yaml"
FIXED_FIELDS = ("optimizer", "average", "batch", "freeze", "seed")
"""Recipe fields that cannot change on resuming: the optimizer's state or the order of the data
would no longer fit."""


class _SampleCounts(Record):
    train: Natural
    validation: Natural
    digest: Digest


class _RunInfo(Record):
    """The fields of `run.json` that are read back."""

    id: Text = ""
    network: Text = ""
    preprocess: dict[Text, Any] | None = None
    commands: list[Text]
    data: Text
    val_split: Annotated[float, Field(ge=0, le=1)]
    samples: _SampleCounts
    recipe: dict[Text, Any]
    classes: list[Text]
    trained: Natural


def run_info(spec: Spec, backend: Backend, recipe: Recipe, data: SplitData) -> dict[str, Any]:
    """Return the contents of `run.json`, but for the device and commands, as values of JSON."""
    preprocess = spec.document.preprocess
    return {
        # Its checkpoints have it too: those of another run are told from them.
        "id": secrets.token_hex(8),
        "commands": [],
        "trained": 0,  # the steps behind the weights in the build
        "spec": {
            "name": spec.name,
            "file": spec.path,
            "sha256": spec.sha256,
            "args": dict(spec.args),
        },
        "network": fingerprint(spec.graph),
        "preprocess": preprocess.model_dump(mode="json") if preprocess else None,
        "data": data_location(data.name),
        "val_split": data.val_split,
        "samples": describe_samples(data),
        "classes": list(data.classes),
        "recipe": recipe.model_dump(mode="json"),
        "backend": backend.name,
        "device": "",
        "platform": platform.platform(),
        "versions": _versions(backend),
    }


def shell_command(backend: Backend, command: Sequence[str]) -> str:
    """Return the command as a shell line that works from any folder.

    It sets the environment variables that chose the backend's engine.
    """
    names = sorted({name for engine in backend.engines.values() for name in engine.environment})
    settings = [f"{name}={shlex.quote(os.environ[name])}" for name in names if name in os.environ]
    return f"cd {shlex.quote(str(Path.cwd()))} && {' '.join([*settings, shlex.join(command)])}"


def data_location(data: str) -> str:
    """Return the name of a built-in set as it is, and any other as an absolute path."""
    return data if data in BUILTIN else str(Path(data).resolve())


def _versions(backend: Backend) -> dict[str, str]:
    versions = {"archspec": __version__, "python": platform.python_version()}
    engines = [engine.package for engine in backend.engines.values()]
    for package in dict.fromkeys(("numpy", "pillow", "grain", backend.framework, *engines)):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def read_run_info(folder: Path) -> dict[str, Any]:
    """Read `run.json`; raise `Failure` if the folder holds no run."""
    path, help = folder / RUN_FILE, "`archspec train SPEC --data DATA -o DIR` makes one"
    with reading_json(path, f"{quote(folder)} holds no run", help):
        return read_plain(path, _RunInfo)


def write_run_info(folder: Path, info: Mapping[str, Any], spec: Spec) -> None:
    """Write `run.json` and `spec.yaml`; raise `Failure` if they cannot be written."""
    text = json.dumps(info, indent=2, ensure_ascii=False) + "\n"
    with writing(folder):
        for name, content in ((SPEC_FILE, annotated_yaml(spec.tree)), (RUN_FILE, text)):
            # A byte of a file name that is not UTF-8 becomes \udcff, as JSON escapes it.
            write_text(folder / name, content, errors="backslashreplace")


def check_resumable(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `Failure` if a run would resume with another split or a state that does not fit."""
    if (before["val_split"], before["classes"]) != (now["val_split"], now["classes"]):
        raise other_samples(folder, before)
    if before.get("network") != now["network"]:
        help = "`-o` names another folder, --weights what to take over from this one"
        raise Failure(f"{quote(folder)} was trained as another network", help)
    if before.get("preprocess") != now["preprocess"]:
        message = f"{quote(folder)} was trained with another `preprocess`"
        raise Failure(message, "its scores would be of other inputs")
    for name in FIXED_FIELDS:
        old, new = before["recipe"].get(name), now["recipe"].get(name)
        if old != new:
            message = (
                f"{quote(folder)} was trained with `{name}` {visible(str(old))} "
                f"and cannot resume with {new}"
            )
            help = "start a new run; --weights can start it from a checkpoint of this one"
            raise Failure(message, help)


def other_samples(folder: Path, before: Mapping[str, Any]) -> Failure:
    """Return the error of a run that would resume on samples that are not its own."""
    message = (
        f"{quote(folder)} was trained on {quote(before['data'])} "
        f"with a validation split of {before['val_split']:g}; these are other samples"
    )
    return Failure(message, "validation samples of a run may not be trained on")
