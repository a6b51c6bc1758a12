"""Installs a backend for a while: a module and its entry point, for child processes too."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from archspec.backend import available


@contextmanager
def installed(folder: Path, name: str, source: str) -> Generator[None]:
    """`source` is the text of a module with a BACKEND; `folder` holds it meanwhile."""
    module = f"backend_{name}"
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    facts = folder / f"{module}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8"
    )
    (facts / "entry_points.txt").write_text(
        f"[archspec.backends]\n{name} = {module}:BACKEND\n", encoding="utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
        available.cache_clear()
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.modules.pop(module, None)
            available.cache_clear()


BROKEN = """
import os
from dataclasses import replace

from archspec_torch import BACKEND as TORCH


def emit(graph, about, weights=None, /, **options):
    nodes = [replace(n, op=n.op.model_copy(update=CHANGE)) if set(CHANGE) <= set(type(n.op).model_fields) else n
             for n in graph.nodes]
    return TORCH.emit(replace(graph, nodes=tuple(nodes)), about, weights, **options)


def opened(folder, graph, precision):
    session = TORCH.open(folder, graph, precision)
    PRANK
    return session


CHANGE = {}
BACKEND = replace(TORCH, name="NAME", emit=emit, open=opened)
"""


def broken(name: str, change: str = "{}", prank: str = "pass") -> str:
    """Return the source of a torch backend that changes fields, and runs code when it is opened."""
    return (
        BROKEN.replace("CHANGE = {}", f"CHANGE = {change}")
        .replace("PRANK", prank)
        .replace("NAME", name)
    )
