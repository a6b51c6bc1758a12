"""Run a verification: a build and a process for each target, and a line for each quantity."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from archspec._numpy import Array
from archspec.backend.session import Mode, Precision
from archspec.compiler import write_build
from archspec.diagnostics import Failure
from archspec.equivalence.inputs import VerifyInputs
from archspec.equivalence.measure import Expected, Rounding, distances
from archspec.equivalence.modes import DEFAULT_PRECISION, Quantity, expected_values, measure
from archspec.equivalence.remote import Remote, Target
from archspec.equivalence.report import Divergence, ReportLine
from archspec.frontend.loader import Spec
from archspec.frontend.yaml_writer import annotated_yaml
from archspec.ir.graph import Graph
from archspec.weights.checkpoint import save_checkpoint
from archspec.weights.weight_source import WeightSource

ExpectedValues = Mapping[tuple[Mode, Rounding], Mapping[Quantity, Expected]]
"""The reference's values, by mode and by the rounding that they are compared under."""


@dataclass(frozen=True)
class VerifyPlan:
    """The spec to verify, its targets and modes, and the inputs."""

    spec: Spec
    targets: Sequence[Target]
    modes: Sequence[Mode]
    inputs: VerifyInputs
    precision: Precision | None = None

    def precisions(self, target: Target) -> Iterator[tuple[Mode, Precision]]:
        """Yield each mode of the target with its precision: the requested one, or one it has."""
        for mode in self.modes:
            if mode in target.backend.modes:
                wanted = self.precision or DEFAULT_PRECISION[mode]
                yield (
                    mode,
                    wanted
                    if wanted in target.backend.precisions
                    else next(iter(target.backend.precisions)),
                )


def run_plan(plan: VerifyPlan, folder: Path) -> tuple[ReportLine, ...]:
    """Return the lines of every target, in order; their processes run side by side."""
    cores = os.cpu_count() or 1
    wanted: Future[ExpectedValues] = Future()
    with ThreadPoolExecutor(min(cores, len(plan.targets))) as pool:
        jobs = [pool.submit(_verified, plan, target, folder, wanted) for target in plan.targets]
        try:
            # The reference is computed here while the frameworks are being imported there.
            graph, given = plan.spec.graph, plan.inputs
            pairs: set[tuple[Mode, Rounding]] = {
                (m, t.rounding(graph, p)) for t in plan.targets for m, p in plan.precisions(t)
            }
            wanted.set_result({pair: expected_values(graph, given, *pair) for pair in pairs})
        except BaseException as error:
            wanted.set_exception(error)
            raise
        return tuple(line for job in jobs for line in job.result())


def _verified(
    plan: VerifyPlan, target: Target, folder: Path, wanted: Future[ExpectedValues]
) -> list[ReportLine]:
    place = folder / str(target)
    place.mkdir()
    build, text = build_target(plan.spec, target, plan.inputs, place)
    opened: Precision | None = None
    lines: list[ReportLine] = []
    pairs = dict(plan.precisions(target))
    with Remote(target) as remote:
        for mode in plan.modes:
            if mode not in pairs:
                lines.append(
                    ReportLine(
                        str(target), mode, skipped=f"the backend {target.backend.name} cannot"
                    )
                )
                continue
            precision = pairs[mode]
            try:
                if precision != opened:
                    remote.open(build, text, precision)
                    opened = precision
                found = measure(remote, plan.inputs, mode)
            except Failure as error:
                lines.append(
                    ReportLine(
                        str(target),
                        mode,
                        precision,
                        failed=error.message.removeprefix(f"{target}: "),
                    )
                )
                opened = None
                continue
            rounding = target.rounding(plan.spec.graph, precision)
            values = wanted.result()[mode, rounding]
            lines += compare_quantities(
                plan.spec.graph, str(target), mode, precision, found, values, rounding
            )
    return lines


def build_target(spec: Spec, target: Target, given: VerifyInputs, place: Path) -> tuple[Path, Path]:
    """Build a target with the plan's weights; return the build and the spec as one file."""
    weights, text = place / "given.safetensors", place / "spec.yaml"
    save_checkpoint(weights, given.tensors, {"spec": spec.sha256})
    text.write_text(annotated_yaml(spec.tree), encoding="utf-8")
    return write_build(spec, target.backend, place / "build", WeightSource(weights)), text


def compare_quantities(
    graph: Graph,
    target: str,
    mode: Mode,
    precision: Precision,
    found: Mapping[Quantity, Mapping[str, Array]],
    wanted: Mapping[Quantity, Expected],
    rounding: Rounding,
) -> Iterator[ReportLine]:
    """Yield a line for each quantity.

    A session has to give exactly the reference's tensors of each, but for activations.
    """
    for quantity, values in wanted.items():
        given, of = found.get(quantity, {}), len(values.values)
        if quantity == "activations":
            # A session shows those that it can, and a model may compute more than outputs need.
            values = Expected(
                {name: v for name, v in values.values.items() if name in given}, values.moves
            )
            given = {name: given[name] for name in values.values}
        if not of and not given:
            continue
        given_all = list(distances(given, values, rounding))
        if not given_all:
            yield ReportLine(target, mode, precision, quantity, failed=f"it gives no {quantity}")
            continue
        clear = [distance for distance in given_all if not distance.cancelled]
        if not clear:
            yield ReportLine(
                target, mode, precision, quantity, skipped=f"{quantity} are lost in rounding"
            )
            continue
        worst = max(clear, key=lambda distance: distance.error / (distance.bound or 1e-300))
        wrong = next((distance for distance in clear if not distance.passed), None)
        first = (
            Divergence(wrong.name, _place(graph, wrong.name), wrong.error, wrong.bound)
            if wrong
            else None
        )
        yield ReportLine(
            target,
            mode,
            precision,
            quantity,
            len(clear),
            of,
            worst.error,
            worst.bound,
            worst.name,
            first,
        )


def _place(graph: Graph, name: str) -> str:
    """Return the location in the spec of a node, a tensor or a head, as FILE:LINE:COLUMN."""
    heads = {head.name: head.node for head in graph.heads}
    if name in heads:
        return str(graph.nodes[heads[name]].span)
    path = name.partition("@")[0]
    for node in graph.nodes:
        if node.path in (path, path.rpartition(".")[0]):
            return str(node.span)
    return graph.nodes[0].span.source.name
