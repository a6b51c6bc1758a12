"""The manifest of a build: where it comes from, its files, and what it takes to run it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field

from archspec._files import open_file
from archspec._json import Digest, JsonError, Record, Text, read_json, reading_json
from archspec._version import __version__
from archspec.backend import Backend
from archspec.diagnostics import Failure, quote
from archspec.frontend.loader import Spec
from archspec.ir.document import Preprocess
from archspec.ir.graph import Graph
from archspec.ir.types import LIMIT, Positive

MANIFEST, WEIGHTS = "manifest.json", "weights.safetensors"


def manifest_text(
    spec: Spec, backend: Backend, graph: Graph, staging: Path, source: Mapping[str, Any]
) -> str:
    """Return the manifest as JSON: spec, arguments, preprocessing, files with their hashes."""
    preprocess = spec.document.preprocess
    head = graph.heads[0]
    facts = {
        "archspec": __version__,
        "name": spec.name,
        "spec": {"file": Path(spec.path).name, "sha256": spec.sha256, "args": dict(spec.args)},
        "backend": {"name": backend.name, backend.framework: _version(backend.framework)},
        "input": list(graph.input),
        "output": {"shape": list(graph.nodes[head.node].shape), "loss": head.loss},
        "preprocess": preprocess.model_dump(mode="json") if preprocess else None,
        "labels": list(spec.document.labels) if spec.document.labels else None,
        **source,
        "files": {path.name: file_digest(path) for path in sorted(staging.iterdir())},
    }
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; raise `OSError` if it cannot be read."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_names(files: dict[str, str]) -> dict[str, str]:
    # A rebuild deletes stale files by these names: none may lead out of the folder.
    for name in files:
        if Path(name).name != name or not name.strip("."):
            raise ValueError(f"{name} is not the name of a file")
    return files


def _with_tuples(stated: Any) -> Any:
    """Return JSON of a `preprocess` with its size as a tuple, which a strict form asks for."""
    if not isinstance(stated, dict):
        return stated
    values = cast("dict[str, Any]", stated)
    size = values.get("resize")
    if not isinstance(size, list):
        return values
    return {**values, "resize": tuple(cast("list[Any]", size))}


class BuildManifest(Record):
    """The part of a manifest by which a build is recognised and replaced."""

    archspec: Text
    """The version that wrote it."""
    files: Annotated[dict[Text, Digest], AfterValidator(_check_names)]
    """The hash of each file."""


class _BackendEntry(Record):
    name: Text


class _OutputEntry(Record):
    shape: Annotated[list[Positive], Field(min_length=1)]
    loss: Text


class ModelManifest(BuildManifest):
    """The part of a manifest by which a model is run."""

    backend: _BackendEntry
    input: Annotated[list[Positive], Field(min_length=1)]
    output: _OutputEntry
    preprocess: Annotated[Preprocess | None, BeforeValidator(_with_tuples)]
    labels: list[Text] | None
    seed: Annotated[int, Field(ge=-LIMIT, le=LIMIT)] | None = None
    """The seed of weights that are random, or some of them."""


def read_manifest(folder: Path) -> BuildManifest:
    """Return the manifest of a build's folder; raise `Failure` if it is not a build."""
    path, help = folder / MANIFEST, "`archspec build SPEC -o DIR` writes one"
    with reading_json(path, f"{quote(folder)} holds no build", help):
        return read_json(path, BuildManifest)


def read_model_manifest(folder: Path) -> ModelManifest:
    """Return the manifest of a model to run; raise `Failure` if it lacks what that takes."""
    read_manifest(folder)
    try:
        return read_json(folder / MANIFEST, ModelManifest)
    except (OSError, JsonError) as error:
        message = f"the manifest of {quote(folder)} is not as a build writes it: {error}"
        raise Failure(message, "build it again") from None
