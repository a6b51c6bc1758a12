"""The list of checks, each registered beside its function with the codes that it reports.

>>> from archspec.checks import heads
>>> REGISTRY["AS0309"] is heads.classifier_width
True
"""

from __future__ import annotations

from collections.abc import Callable

from archspec.diagnostics import Report
from archspec.ir.check_input import CheckInput

Check = Callable[[CheckInput, Report], None]

REGISTRY: dict[str, Check] = {}
"""The check that reports a code, by code."""


def check(*codes: str) -> Callable[[Check], Check]:
    """Register a function as the check that reports these codes."""

    def register(function: Check) -> Check:
        for code in codes:
            if code in REGISTRY:
                raise ValueError(f"{code} has a check already: {REGISTRY[code].__qualname__}")
            REGISTRY[code] = function
        return function

    return register


def check_graph(spec: CheckInput, report: Report) -> None:
    """Run every check, errors and warnings."""
    for function in dict.fromkeys(REGISTRY.values()):
        function(spec, report)
