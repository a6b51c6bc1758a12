"""Compare a spec with the model in a file: outputs, and the first layer that the file has not.

A file's values have names and layouts of their own, and not every layer shows its value: an
activation may be part of the layer before it. So a layer agrees if the file has its value
anywhere, channels first or last, or if a layer that depends on it agrees. The first that does
neither differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from archspec._numpy import Array, np
from archspec.backend import BackendError, FileRun, available, find
from archspec.diagnostics import Failure, UsageError, counted, quote
from archspec.equivalence.inputs import VerifyInputs, random_weights
from archspec.equivalence.measure import ROUNDING, Expected, relative_error
from archspec.equivalence.modes import expected_values
from archspec.equivalence.remote import Remote, Target
from archspec.equivalence.report import Divergence, ReportLine
from archspec.frontend.loader import Spec
from archspec.ir.graph import Graph, Head, Node
from archspec.passes.inference import inference_graph
from archspec.weights import WeightSource, load_from
from archspec.weights.feature_order import channels_last_orders
from archspec.weights.formats import file_kinds


def runner_of(file: Path) -> Target:
    """Return the target that runs a file's model, on an engine that is installed.

    Raise `UsageError` for a suffix that none has, `BackendError` if its framework is missing.
    """
    suffixes: dict[str, str] = {}
    for name in sorted(available()):
        try:
            suffixes |= dict.fromkeys(find(name).file_runners, name)
        except BackendError:
            continue
    backend = suffixes.get(file.suffix.lower())
    if backend is None:
        known = ", ".join(sorted(suffixes))
        raise UsageError(f"the model in {quote(file)} cannot be run", f"known are {known}")
    if not file.is_file():
        raise UsageError(f"no file {quote(file)}")
    engines = [f"{backend}@{engine}" for engine in find(backend).engines] or [backend]
    for name in engines[:-1]:
        try:
            return Target.parse(name)
        except BackendError:
            continue
    return Target.parse(engines[-1])


def check_may_run(file: Path, trust: bool) -> None:
    """Raise `Failure` for a file whose model cannot be run, or is a program that is not trusted."""
    runner = runner_of(file)
    if file.suffix.lower() in runner.backend.program_suffixes and not trust:
        message = f"{quote(file)} is a program: loading it can run any code"
        raise Failure(message, "if you trust whoever made it, `--trust` runs it")


def weights_of_file(spec: Spec, file: Path, seed: int) -> dict[str, Array]:
    """Return the weights that a file holds, and random ones for heads that it has not.

    Raise `UsageError` for a file whose weights are not read, `CheckpointError` if they do not fit.
    """
    if not any(file.suffix.lower() in kind.suffixes for kind in file_kinds()):
        message = f"the weights in {quote(file)} are not read"
        raise UsageError(message, "name those of the network with `--weights`")
    graph = inference_graph(spec.graph)
    loaded = load_from(WeightSource(file), spec, graph=graph)
    return {**random_weights(spec.graph, seed), **loaded.tensors}


def compare_with_file(graph: Graph, inputs: VerifyInputs, file: Path) -> ReportLine:
    """Run the model in a file, and return its line; raise `Failure` if nothing can run it."""
    try:
        with Remote(runner_of(file)) as remote:
            run = remote.run_file(file, inputs.x)
    except Failure as error:
        return ReportLine(file.name, "eval", "float32", failed=error.message)
    return compare_run(graph, inputs, file.name, run)


def compare_run(graph: Graph, inputs: VerifyInputs, name: str, run: FileRun) -> ReportLine:
    """Return the line of a file's run: its outputs in the order of the heads, and the first layer
    that differs. Another number of outputs is a difference, even where those compared agree."""
    line = ReportLine(name, "eval", "float32", "outputs")
    heads = [head for head in graph.heads if not head.train_only]
    found, ours = counted(len(run.outputs), "output"), counted(len(heads), "head")
    number = f"it gives {found}, and the network has {ours} in eval mode"
    if len(run.outputs) < len(heads):
        return replace(line, failed=number)
    expected = expected_values(graph, inputs, "eval", ROUNDING["float32"])
    comparison = _Comparison(graph, expected["outputs"], expected["activations"], run)
    line = comparison.line(line, heads)
    if len(run.outputs) > len(heads) and line.passed:
        return replace(line, failed=f"{number}; what was compared is the same")
    return line


@dataclass(frozen=True)
class _Comparison:
    """A network's values, and those of a file's model on the same batch."""

    graph: Graph
    outputs: Expected
    activations: Expected
    run: FileRun

    def line(self, line: ReportLine, heads: Sequence[Head]) -> ReportLine:
        """Return the line with the outputs compared, in the order of the heads."""
        orders = channels_last_orders(self.graph)
        errors: dict[str, float] = {}
        for head, output in zip(heads, self.run.outputs, strict=False):
            value = self.outputs.values[head.name]
            errors[head.name] = _distance([output], value, orders.get(head.node))
        bounds = {name: self.outputs.bound(name, ROUNDING["float32"]) for name in errors}
        worst = max(errors, key=lambda name: errors[name] / bounds[name])
        first = None
        if errors[worst] > bounds[worst]:
            first = self._first_difference(orders) or self._divergence(
                self.graph.nodes[next(head.node for head in heads if head.name == worst)],
                errors[worst],
            )
        return replace(
            line,
            compared=len(errors),
            of=len(heads),
            error=errors[worst],
            bound=bounds[worst],
            worst=worst,
            first=first,
        )

    def _first_difference(self, orders: Mapping[int, Array]) -> Divergence | None:
        """Return the first layer whose value the file has not, and no layer after it has."""
        values = [*self.run.outputs, *(value for _, value in self.run.values)]
        away = {
            node.index: _distance(
                values, self.activations.values[node.path], orders.get(node.index)
            )
            for node in self._compared()
        }
        agreeing = {
            node.index for node in self._compared() if away[node.index] <= self._bound(node)
        }
        for node in reversed(self.graph.nodes):
            if node.index in agreeing:
                agreeing.update(node.inputs)
        wrong = (node for node in self._compared() if node.index not in agreeing)
        return next((self._divergence(node, away[node.index]) for node in wrong), None)

    def _compared(self) -> Iterator[Node]:
        for node in self.graph.nodes[1:]:
            if node.index in self.graph.inference and node.path in self.activations.values:
                yield node

    def _bound(self, node: Node) -> float:
        return self.activations.bound(node.path, ROUNDING["float32"])

    def _divergence(self, node: Node, error: float) -> Divergence:
        return Divergence(node.path, str(node.span), error, self._bound(node))


def _distance(values: Sequence[Array], expected: Array, order: Array | None) -> float:
    """Return how far the nearest of a file's values is, read channels first or last."""
    return min(
        (
            relative_error(layout, expected)
            for value in values
            if value.size == expected.size and value.dtype.kind == "f"
            for layout in _layouts(value, expected, order)
        ),
        default=float("inf"),
    )


def _layouts(value: Array, expected: Array, order: Array | None) -> Iterator[Array]:
    """Yield a file's value as ours could lie in it: axes of size 1 may be there or not."""
    moved = [np.moveaxis(value, -1, 1)] if value.ndim > 2 else []
    for array in (value, *moved):
        if _sizes(array) == _sizes(expected):
            yield array.reshape(expected.shape)
    if order is not None and value.shape == expected.shape:
        yield value[:, np.argsort(order)]


def _sizes(array: Array) -> list[int]:
    return [size for size in array.shape[1:] if size != 1]
