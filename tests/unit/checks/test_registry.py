"""Checks are found where they are registered, and report the codes that they state."""

from __future__ import annotations

import inspect
import re

import pytest

from archspec.checks import REGISTRY
from archspec.checks.registry import check
from archspec.diagnostics.codes import codes


def test_every_check_has_a_page_for_each_code() -> None:
    assert len(REGISTRY) > 5
    assert REGISTRY.keys() <= codes().keys()


@pytest.mark.parametrize("code", REGISTRY)
def test_a_check_names_its_codes(code: str) -> None:
    assert code in (REGISTRY[code].__doc__ or "")


def test_the_codes_of_a_module_are_registered_there() -> None:
    for module in {inspect.getmodule(function) for function in REGISTRY.values()}:
        assert module is not None
        reported = set(re.findall(r'"(AS\d{4})"', inspect.getsource(module)))
        registered = {code for code, f in REGISTRY.items() if f.__module__ == module.__name__}
        assert reported == registered


def test_a_code_has_one_check() -> None:
    with pytest.raises(ValueError, match="AS0309 has a check already: classifier_width"):
        check("AS0309")(lambda spec, report: None)
