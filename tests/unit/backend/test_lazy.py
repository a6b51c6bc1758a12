"""Hooks by name: nothing is imported early, and every hook of a shipped backend exists."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest

from archspec.backend import Backend, available, find
from archspec.backend.lazy import LazyFunction, lazy


def hooks(backend: Backend) -> dict[str, LazyFunction]:
    """The lazy hooks of a backend and of its kinds of files, by name."""
    owners = {"": backend, **{f"{kind.name}.": kind for kind in backend.formats}}
    return {
        f"{prefix}{field.name}": hook
        for prefix, owner in owners.items()
        for field in fields(owner)
        if isinstance(hook := getattr(owner, field.name), LazyFunction)
    }


@pytest.mark.parametrize("name", sorted(available()))
def test_every_hook_of_a_backend_exists(name: str) -> None:
    for field, hook in hooks(find(name)).items():
        assert callable(hook.resolve()), field


def test_the_shipped_backends_have_lazy_hooks() -> None:
    assert {"emit", "open", "trainer", "state_dict.read"} <= hooks(find("torch")).keys()
    assert {"emit", "open", "onnx.write"} <= hooks(find("onnx")).keys()


def test_a_module_is_imported_when_its_function_is_called() -> None:
    code = (
        "import sys; from archspec.backend.lazy import lazy; f = lazy('colorsys:rgb_to_hsv');"
        "assert 'colorsys' not in sys.modules; print(f(1.0, 0.0, 0.0)); assert 'colorsys' in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "(0.0, 1.0, 1.0)\n", result.stderr


def test_a_hook_passes_arguments_by_name() -> None:
    assert lazy("builtins:int")("11", base=2) == 3


@pytest.mark.parametrize("target", ["json", "json:", ":loads", "json:a b", "json.loads"])
def test_a_target_of_another_spelling_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="package.module:function"):
        lazy(target)
