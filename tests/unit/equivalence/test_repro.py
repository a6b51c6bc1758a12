"""A difference is found, named with its line, and left in a folder from which it is seen again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import archspec
from archspec.conformance.fields import schema
from archspec.conformance.layers import simplest
from archspec.diagnostics import Failure
from archspec.equivalence import DifferenceError, VerifyReport
from archspec.equivalence.layer import layer_spec
from archspec.ops import OPS
from tests.helpers import forked
from tests.helpers.installed import broken, installed
from tests.helpers.specs import checked

TEXT = """archspec: 1
name: net
input: [2, 5, 5]
network:
  - {name: one, conv: {out: 2, kernel: 2}}
  - {name: branches, concat: {a: [{name: act, leaky_relu: {slope: 0.1}}], b: []}}
  - {name: two, tanh: }
"""


@pytest.fixture(scope="module", autouse=True)
def _leaky(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    with installed(tmp_path_factory.mktemp("leaky"), "leaky", broken("leaky", "{'slope': 0.3}")):
        yield


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(TEXT)
    return path


def verified(spec: Path, **options: Any) -> VerifyReport:
    given: dict[str, Any] = {"modes": ["eval"], "repro": spec.parent / "again", **options}
    return archspec.verify(spec, backends=["leaky"], **given)


def folder_of(report: VerifyReport) -> Path:
    assert report.repro is not None
    return report.repro


def ran(script: Path) -> subprocess.CompletedProcess[str]:
    return forked.run([sys.executable, str(script)], capture_output=True, text=True, cwd="/")


def test_the_first_layer_that_diverges_is_named_with_its_line(spec: Path) -> None:
    found = verified(spec)
    (line,) = [line for line in found.lines if line.quantity == "activations"]
    assert line.first is not None
    assert line.first.name == "branches_a.act"
    column = TEXT.splitlines()[5].index("leaky_relu") + 1
    assert line.first.location == f"{spec}:6:{column}"
    assert 0.2 < line.first.error < 0.7  # 0.3x for 0.1x where x is negative
    with pytest.raises(
        DifferenceError,
        match=rf"activations first differ at branches_a\.act \(.*net\.yaml:6:{column}\)",
    ):
        found.raise_if_different()


def test_the_folder_holds_the_layer_alone_where_that_differs_alone(spec: Path) -> None:
    folder = folder_of(verified(spec))
    assert folder == spec.parent / "again"
    assert sorted(path.name for path in folder.iterdir()) == [
        "input.safetensors", "leaky", "run_leaky_eval.py", "spec.yaml", "weights.safetensors",
    ]  # fmt: skip
    alone = archspec.load(folder / "spec.yaml")
    (layer,) = alone.graph.nodes[1:]
    assert layer.op == OPS["leaky_relu"].model_validate({"slope": 0.1})
    assert load_file(folder / "input.safetensors")["x"].shape == (2, 2, 4, 4)
    manifest = json.loads((folder / "leaky" / "build" / "manifest.json").read_text())
    assert manifest["backend"]["name"] == "leaky"
    assert "0.3" in (folder / "leaky" / "build" / "model.py").read_text()


def test_what_it_says_of_the_layer_is_where_the_spec_that_was_verified_has_it(spec: Path) -> None:
    folder = folder_of(verified(spec))
    column = TEXT.splitlines()[5].index("leaky_relu") + 1
    assert (
        f"first differ at layer ({spec}:6:{column})" in (folder / "run_leaky_eval.py").read_text()
    )
    lines = (folder / "spec.yaml").read_text().splitlines()
    assert {line.partition("  # ")[2] for line in lines} == {f"{spec}:6"}
    texts = [
        path.read_text() for path in folder.rglob("*") if path.suffix in (".py", ".yaml", ".json")
    ]
    assert not any("archspec-verify-" in text for text in texts)


def test_its_script_sees_the_difference_again(spec: Path) -> None:
    folder = folder_of(verified(spec))
    script = folder / "run_leaky_eval.py"
    assert (
        "outputs first differ at main" in script.read_text()
        or "activations first differ" in script.read_text()
    )
    found = ran(script)
    assert found.returncode == 1, found.stderr
    assert [line.split()[0] for line in found.stdout.splitlines()] == [
        "outputs",
        "activations",
        "activations",
    ]
    assert [line.split()[4] for line in found.stdout.splitlines()] == [
        "DIFFERENT",
        "same",
        "DIFFERENT",
    ]
    # Mended, it is the same.
    model = folder / "leaky" / "build" / "model.py"
    model.write_text(model.read_text().replace("0.3", "0.1"))
    found = ran(script)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "DIFFERENT" not in found.stdout


def test_the_loss_goes_with_it(spec: Path) -> None:
    found = verified(spec, modes=["grad"], seed=5, batch=3)
    folder = folder_of(found)
    kept = load_file(folder / "input.safetensors")
    assert kept["share of main"].shape == kept["x"].shape[:1] + (4, 4, 4)
    again = ran(folder / "run_leaky_grad.py")
    assert again.returncode == 1, again.stderr
    (line,) = found.lines
    assert f"{line.first.error:.1e}" in again.stdout if line.first else False


def test_nothing_is_overwritten(spec: Path) -> None:
    kept = spec.parent / "again"
    kept.mkdir()
    (kept / "mine").write_text("mine")
    assert verified(spec).repro == spec.parent / "again-2"
    assert verified(spec).repro == spec.parent / "again-3"
    assert [path.name for path in kept.iterdir()] == ["mine"]


def test_where_it_cannot_be_written_the_failure_says_so(spec: Path) -> None:
    (spec.parent / "a file").write_text("")
    with pytest.raises(Failure, match=r"cannot write .*: not a directory"):
        verified(spec, repro=spec.parent / "a file" / "again")


def test_what_agrees_leaves_nothing(spec: Path) -> None:
    spec.write_text(TEXT.replace("0.1", "0.3"))
    found = verified(spec)
    assert found.passed
    assert found.repro is None
    assert not (spec.parent / "again").exists()


def test_each_target_that_differs_has_its_script_and_the_others_have_none(spec: Path) -> None:
    report = archspec.verify(
        spec, backends=["leaky", "torch"], modes=["eval", "train"], repro=spec.parent / "again"
    )
    assert {line.target for line in report.lines if not line.passed} == {"leaky"}
    assert [path.name for path in sorted(folder_of(report).glob("run_*"))] == ["run_leaky_eval.py"]


@pytest.mark.parametrize("kind", OPS)
def test_every_layer_can_be_a_spec_of_its_own(kind: str) -> None:
    _, fields, *shapes = simplest(kind)
    node = checked(layer_spec(kind, fields, *shapes)).graph.nodes[-1]
    written = node.op.model_dump(mode="json", exclude_defaults=True)
    again = checked(layer_spec(kind, written, *shapes)).graph
    assert again.nodes[-1].op == node.op
    assert again.inputs(again.nodes[-1]) == tuple(shapes)
    assert set(written) <= set(schema(kind))


def test_inputs_of_a_merge_are_cut_from_one_vector_each_its_own() -> None:
    graph = checked(layer_spec("add", {}, (2, 3), (2, 1), (1, 3))).graph
    from archspec.reference import evaluate

    found = evaluate(graph, {}, np.arange(11.0).reshape(1, 1, 11)).outputs["main"]
    a, b, c = (
        np.arange(6.0).reshape(2, 3),
        np.array([[6.0], [7.0]]),
        np.arange(8.0, 11.0).reshape(1, 3),
    )
    assert np.array_equal(found[0], a + b + c)
