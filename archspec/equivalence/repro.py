"""A folder that reproduces a difference: the spec, its input and weights, builds and scripts.

Where the layer at which values first differ differs by itself, on the input that it has in the
network, the folder holds that layer alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from archspec._numpy import Array, np
from archspec.backend import load as load_backend
from archspec.backend.session import Mode, Precision
from archspec.codegen.literals import docstring
from archspec.compiler import load
from archspec.diagnostics import Span, writing
from archspec.equivalence.inputs import VerifyInputs, fixed_cotangents
from archspec.equivalence.layer import layer_spec
from archspec.equivalence.measure import distances
from archspec.equivalence.modes import expected_values, measure
from archspec.equivalence.plan import VerifyPlan, build_target, run_plan
from archspec.equivalence.remote import Target
from archspec.equivalence.report import ReportLine, describe_difference
from archspec.frontend.loader import Spec
from archspec.frontend.tree import relocate
from archspec.ir.graph import Node
from archspec.reference import ReferenceSession


def write_repro(plan: VerifyPlan, lines: Sequence[ReportLine], folder: Path, scratch: Path) -> Path:
    """Write the folder, with a number appended if its name is taken, and return its path.

    `scratch` is a folder for what is tried on the way.
    """
    wrong = [line for line in lines if not line.passed]
    plan, wrong = _smaller(plan, wrong, scratch) or (_only(plan, wrong), wrong)
    folder = _free(folder)
    with writing(folder):
        _write(plan, wrong, folder)
    return folder


def _only(plan: VerifyPlan, wrong: Sequence[ReportLine]) -> VerifyPlan:
    """Return the plan restricted to the targets and modes that differ."""
    names = {line.target for line in wrong}
    modes = [mode for mode in plan.modes if any(line.mode == mode for line in wrong)]
    return replace(
        plan, targets=[target for target in plan.targets if str(target) in names], modes=modes
    )


def _smaller(
    plan: VerifyPlan, wrong: Sequence[ReportLine], scratch: Path
) -> tuple[VerifyPlan, list[ReportLine]] | None:
    """Return a plan for the first differing layer alone and its lines, if it differs by itself."""
    line = next((line for line in wrong if line.first and line.quantity == "activations"), None)
    if line is None or line.first is None:
        return None
    node = next((node for node in plan.spec.graph.nodes[1:] if node.path == line.first.name), None)
    if node is None:
        return None
    spec, inputs = _alone(plan, node, line.mode, scratch)
    targets = [target for target in plan.targets if str(target) == line.target]
    small = replace(plan, spec=spec, targets=targets, modes=[line.mode], inputs=inputs)
    place = scratch / "tried"
    place.mkdir()
    differing = [line for line in run_plan(small, place) if not line.passed]
    return (small, differing) if differing else None


def _alone(plan: VerifyPlan, node: Node, mode: Mode, scratch: Path) -> tuple[Spec, VerifyInputs]:
    """Return a spec of one layer, and the input and weights that it has in the network."""
    graph, inputs = plan.spec.graph, plan.inputs
    path = scratch / "layer.yaml"
    fields = node.op.model_dump(mode="json", exclude_defaults=True)
    path.write_text(layer_spec(node.op.kind, fields, *graph.inputs(node)), encoding="utf-8")
    session = ReferenceSession(graph, inputs.tensors)
    result = session.forward(inputs.x, train=mode == "train", return_activations=True)
    read = [result.activations[graph.nodes[index].path] for index in node.inputs]
    x = (
        read[0]
        if len(read) == 1
        else np.concatenate([y.reshape(len(y), -1) for y in read], 1)[:, None]
    )
    tensors = {
        f"layer.{p.role}": inputs.tensors[f"{node.path}.{p.role}"] for p in graph.params(node)
    }
    spec = _placed(load(path), node.span)
    x = x.astype(np.float32).astype(np.float64)
    return spec, VerifyInputs(tensors, x, fixed_cotangents(spec.graph, 0))


def _placed(spec: Spec, span: Span) -> Spec:
    """Return a spec with every span set to this one."""
    relocate(spec.tree, span)
    nodes = tuple(replace(node, span=span) for node in spec.graph.nodes)
    return replace(spec, graph=replace(spec.graph, nodes=nodes))


def _free(folder: Path) -> Path:
    number, candidate = 1, folder
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _write(plan: VerifyPlan, wrong: Sequence[ReportLine], folder: Path) -> None:
    from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

    folder.mkdir(parents=True)
    save_file({"x": plan.inputs.x, **_shares(plan)}, folder / "input.safetensors")
    for target in plan.targets:
        place = folder / str(target)
        place.mkdir()
        _, text = build_target(plan.spec, target, plan.inputs, place)
        text.replace(folder / "spec.yaml")
        (place / "given.safetensors").replace(folder / "weights.safetensors")
        for line in (line for line in wrong if line.target == str(target)):
            precision = line.precision or "float32"
            script = _script(line, target.environment, target.backend.name, precision)
            (folder / f"run_{target}_{line.mode}.py".replace("@", "_")).write_text(
                script, encoding="utf-8"
            )


def _shares(plan: VerifyPlan) -> dict[str, Array]:
    """Return each head's cotangent, which depends only on the shape of its output."""
    graph, inputs = plan.spec.graph, plan.inputs
    outputs = {
        head.name: np.zeros((len(inputs.x), *graph.nodes[head.node].shape)) for head in graph.heads
    }
    return {
        f"share of {name}": np.asarray(share) for name, share in inputs.cotangents(outputs).items()
    }


def _script(
    line: ReportLine, environment: dict[str, str], backend: str, precision: Precision
) -> str:
    lines = [
        f'"""{docstring(describe_difference(line))}"""',
        "",
        "import os",
        "from pathlib import Path",
        "",
    ]
    lines += [f"os.environ[{name!r}] = {value!r}" for name, value in environment.items()]
    lines += [
        "# After the environment, which chooses the engine.",
        "from archspec.equivalence.repro import replay",
        "",
    ]
    call = (
        f"replay(Path(__file__).parent, {line.target!r}, {backend!r}, {line.mode!r}, {precision!r})"
    )
    return "\n".join([*lines, call, ""])


def replay(folder: Path, target: str, backend: str, mode: Mode, precision: Precision) -> None:
    """Run a build in this process and print every tensor's error; exit with 1 if one is too large.

    The scripts of a reproduction call this.
    """
    from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

    spec = load(folder / "spec.yaml")
    arrays = load_file(folder / "input.safetensors")
    tensors = load_file(folder / "weights.safetensors")
    inputs = VerifyInputs(
        tensors, arrays["x"], lambda outputs: {name: arrays[f"share of {name}"] for name in outputs}
    )
    actual = measure(
        load_backend(backend).open(folder / target / "build", spec.graph, precision), inputs, mode
    )
    rounding = Target.parse(target).rounding(spec.graph, precision)
    failed = False
    for quantity, expected in expected_values(spec.graph, inputs, mode, rounding).items():
        for distance in distances(actual.get(quantity, {}), expected, rounding):
            failed |= not distance.passed
            verdict = "same" if distance.passed else "DIFFERENT"
            print(
                f"{quantity:<12} {distance.error:.1e} of {distance.bound:.1e}  "
                f"{verdict:<9}  {distance.name}"
            )
    sys.exit(int(failed))
