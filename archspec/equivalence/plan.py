"""Run a verification: a build and a process for each target, and a line for each quantity."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from archspec._numpy import Array
from archspec.backend.session import Mode, Precision
from archspec.compiler import write_build
from archspec.diagnostics import Failure
from archspec.equivalence.inputs import VerifyInputs
from archspec.equivalence.measure import Distance, Expected, Rounding, distances
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
        available = target.backend.precisions
        for mode in self.modes:
            if mode in target.backend.modes:
                precision = self.precision or DEFAULT_PRECISION[mode]
                yield mode, precision if precision in available else next(iter(available))


def run_plan(plan: VerifyPlan, folder: Path) -> tuple[ReportLine, ...]:
    """Return the lines of every target, in order; their processes run side by side."""
    cores = os.cpu_count() or 1
    expected: Future[ExpectedValues] = Future()
    with ThreadPoolExecutor(min(cores, len(plan.targets))) as pool:
        jobs = [
            pool.submit(_verify_target, plan, target, folder, expected) for target in plan.targets
        ]
        try:
            # The reference is computed here while the frameworks are being imported there.
            graph, inputs = plan.spec.graph, plan.inputs
            pairs: set[tuple[Mode, Rounding]] = {
                (m, t.rounding(graph, p)) for t in plan.targets for m, p in plan.precisions(t)
            }
            expected.set_result({pair: expected_values(graph, inputs, *pair) for pair in pairs})
        except BaseException as error:
            expected.set_exception(error)
            raise
        return tuple(line for job in jobs for line in job.result())


def _verify_target(
    plan: VerifyPlan, target: Target, folder: Path, expected: Future[ExpectedValues]
) -> list[ReportLine]:
    graph, name = plan.spec.graph, str(target)
    place = folder / name
    place.mkdir()
    build, text = build_target(plan.spec, target, plan.inputs, place)
    opened: Precision | None = None
    lines: list[ReportLine] = []
    precisions = dict(plan.precisions(target))
    with Remote(target) as remote:
        for mode in plan.modes:
            if mode not in precisions:
                reason = f"the backend {target.backend.name} cannot"
                lines.append(ReportLine(name, mode, skipped=reason))
                continue
            precision = precisions[mode]
            try:
                if precision != opened:
                    remote.open(build, text, precision)
                    opened = precision
                actual = measure(remote, plan.inputs, mode)
            except Failure as error:
                reason = error.message.removeprefix(f"{target}: ")
                lines.append(ReportLine(name, mode, precision, failed=reason))
                opened = None
                continue
            rounding = target.rounding(graph, precision)
            values = expected.result()[mode, rounding]
            lines += compare_quantities(graph, name, mode, precision, actual, values, rounding)
    return lines


def build_target(
    spec: Spec, target: Target, inputs: VerifyInputs, place: Path
) -> tuple[Path, Path]:
    """Build a target with the plan's weights; return the build and the spec as one file."""
    weights, text = place / "given.safetensors", place / "spec.yaml"
    save_checkpoint(weights, inputs.tensors, {"spec": spec.sha256})
    text.write_text(annotated_yaml(spec.tree), encoding="utf-8")
    return write_build(
        spec, target.backend, place / "build", WeightSource(weights), record=False
    ), text


def compare_quantities(
    graph: Graph,
    target: str,
    mode: Mode,
    precision: Precision,
    actual: Mapping[Quantity, Mapping[str, Array]],
    expected: Mapping[Quantity, Expected],
    rounding: Rounding,
) -> Iterator[ReportLine]:
    """Yield a line for each quantity.

    A session has to give exactly the reference's tensors of each, but for activations.
    """
    for quantity, values in expected.items():
        arrays, of = actual.get(quantity, {}), len(values.values)
        if quantity == "activations":
            # A session shows those that it can, and a model may compute more than outputs need.
            values = Expected(
                {name: v for name, v in values.values.items() if name in arrays}, values.moves
            )
            arrays = {name: arrays[name] for name in values.values}
        if of or arrays:
            line = ReportLine(target, mode, precision, quantity)
            yield _filled_line(line, list(distances(arrays, values, rounding)), of, graph)


def _filled_line(
    line: ReportLine, compared: Sequence[Distance], of: int, graph: Graph
) -> ReportLine:
    """Return the line with the result of comparing a quantity's tensors."""
    if not compared:
        return replace(line, failed=f"it gives no {line.quantity}")
    clear = [distance for distance in compared if not distance.cancelled]
    if not clear:
        return replace(line, skipped=f"{line.quantity} are lost in rounding")
    worst = max(clear, key=lambda distance: distance.error / (distance.bound or 1e-300))
    wrong = next((distance for distance in clear if not distance.passed), None)
    first = None
    if wrong is not None:
        first = Divergence(wrong.name, _place(graph, wrong.name), wrong.error, wrong.bound)
    return replace(
        line,
        compared=len(clear),
        of=of,
        error=worst.error,
        bound=worst.bound,
        worst=worst.name,
        first=first,
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
