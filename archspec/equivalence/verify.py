"""Verify a spec's models: from the request to a plan, a report and a reproduction."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archspec._files import scratch_folder
from archspec.backend import BackendError, MissingFramework, available
from archspec.backend.session import Mode, Precision
from archspec.compiler import load
from archspec.diagnostics import UsageError, did_you_mean, quote
from archspec.equivalence.against import check_may_run, compare_with_file, weights_of_file
from archspec.equivalence.inputs import verify_inputs
from archspec.equivalence.measure import ROUNDING
from archspec.equivalence.modes import MODES
from archspec.equivalence.plan import VerifyPlan, run_plan
from archspec.equivalence.remote import Target
from archspec.equivalence.report import VerifyReport
from archspec.equivalence.repro import write_repro
from archspec.frontend.loader import Spec
from archspec.weights.checkpoint import load_tensors as load_weights


def verify(
    spec: Spec | str | os.PathLike[str],
    backends: Sequence[str] | None = None,
    modes: Sequence[Mode] = MODES,
    *,
    batch: int = 2,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    precision: Precision | None = None,
    repro: str | os.PathLike[str] | None = None,
    against: str | os.PathLike[str] | None = None,
    trust: bool = False,
    **args: Any,
) -> VerifyReport:
    """Check a spec's models against the float64 reference, and report where they first differ.

    `backends` are targets as in `["torch", "keras@jax"]`, by default every backend whose framework
    is installed. The weights are random, so that no value hides another, or those of a portable
    checkpoint. A backend's difference is written to the folder `repro`, if one is named. `against`
    is a framework's own file of a model that computes the same, which is run and compared in eval
    mode and float32: its weights are taken unless `weights` are named, and no backends are unless
    they are. A file that is a program, as a `.pt2`, is run only with `trust`. `args` are values of
    the spec's arguments. Raise `UsageError` if there would be nothing to compare, or nothing that
    does what was asked for.
    """
    started = time.perf_counter()
    _check_request(backends, modes, precision, batch, seed)
    is_alone = against is not None and backends is None
    _check_alone(is_alone, modes, precision, repro)
    loaded = spec if isinstance(spec, Spec) else load(spec, **args)
    targets = _targets(backends, is_alone)
    tensors = load_weights(Path(weights), loaded.graph) if weights is not None else None
    if against is not None:
        check_may_run(Path(against), trust)  # before anything is computed
        tensors = weights_of_file(loaded, Path(against), seed) if tensors is None else tensors
    plan = VerifyPlan(
        loaded, targets, modes, verify_inputs(loaded.graph, seed, batch, tensors), precision
    )
    written = None
    with scratch_folder(prefix="archspec-verify-") as folder:
        lines = run_plan(plan, folder) if targets else ()
        if repro is not None and not all(line.passed for line in lines):
            written = write_repro(plan, lines, Path(repro), folder)
    if against is not None:
        lines = (*lines, compare_with_file(loaded.graph, plan.inputs, Path(against)))
    return VerifyReport(
        loaded.name, loaded.path, batch, seed, lines, time.perf_counter() - started, written
    )


def _targets(backends: Sequence[str] | None, is_alone: bool) -> list[Target]:
    """Return the targets of a request; by default all, or none beside a file that is run."""
    if backends is None:
        return [] if is_alone else installed()
    # A backend may be named twice, once with its usual engine and once without.
    return [*{str(target): target for target in map(Target.parse, backends)}.values()]


def _check_request(
    backends: Sequence[str] | None,
    modes: Sequence[str],
    precision: str | None,
    batch: int,
    seed: int,
) -> None:
    """Raise `UsageError` for a misspelt mode or an empty list, which would compare nothing."""
    for what, requested, choices in (
        ("mode", modes, MODES),
        ("precision", [precision or "float32"], ROUNDING),
    ):
        if isinstance(requested, str):
            raise UsageError(
                f"{what}s are a list, found {quote(requested)}", f'as in ["{requested}"]'
            )
        for name in requested:
            if name not in choices:
                raise UsageError(
                    f"unknown {what} {quote(name)}", did_you_mean(name, choices, f"{what}s")
                )
    if not modes or (backends is not None and not backends):
        raise UsageError("there is nothing to compare", "name a backend and a mode")
    if batch < 1 or seed < 0:
        raise UsageError("the batch is at least 1, the seed at least 0")


def _check_alone(
    is_alone: bool, modes: Sequence[str], precision: str | None, repro: object
) -> None:
    """Raise `UsageError` for what is asked of backends where a file alone is compared."""
    if not is_alone:
        return
    others = [mode for mode in modes if mode != "eval"]
    if others and set(modes) != set(MODES):
        raise UsageError(
            f"a file is compared in eval mode alone, found the mode {quote(others[0])}",
            "ask for `eval`, or name backends to compare in other modes",
        )
    if precision not in (None, "float32"):
        raise UsageError(
            f"a file is compared in float32 alone, found {quote(precision)}",
            "leave the precision out, or name backends to compare in another one",
        )
    if repro is not None:
        raise UsageError(
            "no folder reproduces the difference of a file",
            "leave `repro` out, or name backends, whose differences it holds",
        )


def installed() -> list[Target]:
    """Return every backend that can run here, on its default engine; raise if there is none."""
    targets: list[Target] = []
    for name in sorted(available()):
        try:
            targets.append(Target.parse(name))
        except BackendError:
            continue
    if not targets:
        raise MissingFramework(
            "no backend's framework is installed", "pip install 'archspec-nn[all]'"
        )
    return targets
