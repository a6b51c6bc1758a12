"""Training that starts from another network's weights: what is taken, what starts afresh, and what is said of it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

import archspec
from archspec.backend import load as load_backend
from archspec.cli import main
from archspec.compiler import compile_spec
from archspec.compiler import load as load_spec
from archspec.diagnostics import Failure
from archspec.train.checkpoint import list_checkpoints
from archspec.weights.checkpoint import CheckpointError
from archspec.weights.checkpoint import load_tensors as load_weights
from archspec.weights.init import initial_tensors
from archspec.weights.reinit import reinit_advice
from archspec.weights.weight_source import WeightSource

SPEC = """archspec: 1
name: six
input: [1, 8, 8]
args: {classes: 6}
network:
  - {name: conv, conv: {out: 8, kernel: 3, bias: false}}
  - {name: norm, batch_norm: }
  - {name: act, relu: , aux: side}
  - global_avg_pool
  - flatten
  - {name: fc, linear: {out: $classes}}
blocks:
  auxiliary: {body: [global_avg_pool, flatten, {name: fc, linear: {out: $classes}}]}
heads:
  main: {classes: $classes}
  side: {block: auxiliary, only: train, classes: $classes}
preprocess: {channels: gray, crop: none}
train: {learning_rate: 0.2, epochs: 3, batch: 16, momentum: 0.9}
"""
TWO = """archspec: 1
name: two
extends: six.yaml
args: {classes: 1}
edit: [{set: {act.aux: ~}}]
blocks: {auxiliary: ~}
heads: {main: {loss: binary_cross_entropy, classes: 2}, side: ~}
"""
REINIT = ["--reinit", "fc.*", "--reinit", "side.*"]
WEIGHTS = "six/weights.safetensors"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a network for six classes that is trained, one for two that is not, and data for both."""
    monkeypatch.chdir(tmp_path)
    Path("six.yaml").write_text(SPEC)
    Path("two.yaml").write_text(TWO)
    rng = np.random.default_rng(0)
    y = np.arange(120) % 6
    x = (rng.uniform(0, 30, (120, 8, 8)) + 45 * y[:, None, None]).astype(np.uint8)
    np.savez("six.npz", x=x, y=y)
    np.savez("two.npz", x=x, y=y // 3)
    assert main(["train", "six.yaml", "--data", "six.npz", "-o", "six", "--quiet"]) == 0


def tuned(*more: str, spec: str = "two.yaml", weights: str = WEIGHTS, folder: str = "two") -> int:
    return main(["train", spec, "--data", "two.npz", "-o", folder, "--weights", weights, *more])


def test_what_fits_is_taken_and_what_is_named_starts_afresh() -> None:
    six, two = load_spec("six.yaml"), load_spec("two.yaml")
    built = compile_spec(
        two,
        load_backend("torch"),
        weights=WeightSource(Path(WEIGHTS), seed=3, reinit=("fc.*", "side.*")),
    )
    known, seeded = (
        load_weights(Path(WEIGHTS), six.graph),
        initial_tensors(two.graph, 3, two.document.init),
    )
    assert list(built.weights) == list(seeded)
    for name, value in built.weights.items():
        assert (value == (seeded if name.startswith("fc.") else known)[name]).all(), name
    assert built.notes == (
        "tensors that are reinitialised, 2: `fc.weight`, `fc.bias`",
        f"tensors of `{WEIGHTS}` that are left out, 2: `side.fc.bias`, `side.fc.weight`",
    )


def test_unasked_nothing_is_left_out_and_all_that_differs_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tuned() == 1
    assert (
        capsys.readouterr().err
        == f"""error: `{WEIGHTS}` does not fit the network `two`
  of another network: it was made for `six`, which has other layers, wiring, shapes, heads
  of another shape: `fc.weight` is 6x8, expected 1x8
  of another shape: `fc.bias` is 6, expected 1
  unexpected: `side.fc.bias`
  unexpected: `side.fc.weight`
  help: `archspec train` takes the rest with --reinit 'fc.*' --reinit 'side.*'
"""
    )
    assert not Path("two").exists()


def test_what_the_error_advises_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuned() == 1
    advised = shlex.split(capsys.readouterr().err.partition("takes the rest with ")[2])
    assert tuned(*advised) == 0
    said = capsys.readouterr().err
    assert "tensors that are reinitialised, 2: `fc.weight`, `fc.bias`" in said
    assert "of another network" not in said


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_what_is_frozen_stays_and_two_classes_are_told_apart(
    backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [
        *REINIT,
        "--set",
        "train.freeze=['conv.*', 'norm.weight', 'norm.bias']",
        "--set",
        "train.epochs=20",
    ]
    assert tuned(*more, "--backend", backend) == 0
    capsys.readouterr()
    assert main(["eval", "two", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["ensemble"]["top1"] > 0.9
    before = load_weights(Path(WEIGHTS), load_spec("six.yaml").graph)
    after = load_weights(Path("two/weights.safetensors"), load_spec("two.yaml").graph)
    assert all(
        (after[name] == before[name]).all() for name in ("conv.weight", "norm.weight", "norm.bias")
    )
    assert (after["norm.running_mean"] != before["norm.running_mean"]).all()


def test_a_checkpoint_of_a_run_will_do_whose_slots_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tuned(*REINIT, weights=str(list_checkpoints(Path("six"))[-1])) == 0
    said = capsys.readouterr().err
    assert "that are left out, 2: `side.fc.bias`, `side.fc.weight`" in said
    assert "slots of an optimizer that are left out" in said


def test_a_head_that_would_fit_starts_afresh_too() -> None:
    """Six other classes: the shapes are the same, the meaning is not."""
    spec = load_spec("six.yaml")
    kept, anew = (
        compile_spec(
            spec,
            load_backend("torch"),
            weights=WeightSource(Path(WEIGHTS), reinit=reinit),
        )
        for reinit in ((), ("fc.*",))
    )
    assert (kept.weights["conv.weight"] == anew.weights["conv.weight"]).all()
    assert (kept.weights["fc.weight"] != anew.weights["fc.weight"]).all()


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--reinit", "fcc.*"], 1, "`fcc.*` matches no tensor"),
        (["--reinit", "fc.*"], 1, "unexpected: `side.fc.bias`"),
        (["--reinit", "side.*"], 1, "of another shape: `fc.bias` is 6, expected 1"),
    ],
)
def test_a_pattern_too_little_or_for_nothing_is_an_error(
    more: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuned(*more) == code
    assert message in capsys.readouterr().err
    assert not Path("two").exists()


def test_without_weights_there_is_nothing_to_leave_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "two.yaml", "--data", "two.npz", "-o", "two", *REINIT]) == 2
    assert "--reinit needs --weights" in capsys.readouterr().err


def test_of_another_kind_of_file_no_part_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["weights", "export", WEIGHTS, "--to", "torch", "--spec", "six.yaml", "-o", "six.pth"])
        == 0
    )
    assert tuned(*REINIT, weights="six.pth") == 1
    assert "cannot take a part of `six.pth`" in capsys.readouterr().err


def test_values_that_are_no_numbers_are_refused_unless_they_are_reinitialised() -> None:
    spec = load_spec("six.yaml")
    tensors = {
        name: value.copy() for name, value in load_weights(Path(WEIGHTS), spec.graph).items()
    }
    tensors["fc.bias"][0] = np.nan
    archspec.weights.save("nan.safetensors", tensors, spec)
    with pytest.raises(CheckpointError, match="`fc.bias`: 1 NaN"):
        compile_spec(spec, load_backend("torch"), weights=WeightSource(Path("nan.safetensors")))
    compile_spec(
        spec,
        load_backend("torch"),
        weights=WeightSource(Path("nan.safetensors"), reinit=("fc.*",)),
    )


def test_the_flag_that_an_error_names_is_one_of_train(capsys: pytest.CaptureFixture[str]) -> None:
    Path("eps.yaml").write_text(SPEC.replace("batch_norm: ", "batch_norm: {eps: 0.1}"))
    arguments = ["train", "eps.yaml", "--data", "six.npz", "-o", "run", "--weights", WEIGHTS]
    assert main(arguments) == 1
    assert "`--ignore-spec` accepts it" in capsys.readouterr().err
    assert main([*arguments, "--ignore-spec"]) == 0


@pytest.mark.parametrize(
    ("misfits", "others", "patterns"),
    [
        (["a.b.c.weight"], ["a.b.d.weight"], ["a.b.c.*"]),
        (["a.b.c.weight", "a.b.c.bias"], ["x.weight"], ["a.*"]),
        (["a.weight"], ["a.bias"], ["a.weight"]),
        (["a.weight@momentum"], ["b.weight"], ["a.*"]),
        (["a.weight"], [], []),
        ([f"a{i}.weight" for i in range(9)], ["b.weight"], []),
    ],
)
def test_advice_is_the_widest_pattern_that_spares_what_fits(
    misfits: list[str], others: list[str], patterns: list[str]
) -> None:
    found = reinit_advice(misfits, others)
    assert shlex.split(found.partition(" with ")[2])[1::2] == patterns
    assert bool(found) == bool(patterns)


def test_a_library_caller_hears_of_an_idle_pattern() -> None:
    with pytest.raises(Failure, match="`head.* matches no tensor"):
        compile_spec(
            load_spec("six.yaml"),
            load_backend("torch"),
            weights=WeightSource(Path(WEIGHTS), reinit=("head.*",)),
        )


def test_one_frozen_statistic_of_two_is_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tuned(*REINIT, "--set", "train.freeze=['norm.running_var']") == 1
    error = "error[AS0471]: one of the running statistics of `norm` (six.yaml:7:18) is frozen, the other is not"
    assert error in capsys.readouterr().err
    assert not Path("two").exists()


def test_a_frozen_batch_norm_needs_no_second_value() -> None:
    Path("flat.yaml").write_text(
        SPEC.replace("  - flatten", "  - flatten\n  - {name: last, batch_norm: }")
    )
    arguments = [
        "train",
        "flat.yaml",
        "--data",
        "six.npz",
        "-o",
        "run",
        "--set",
        "train.batch=95",
    ]  # of 96
    assert main(arguments) == 1
    assert main([*arguments, "--set", "train.freeze=['last.running_*']"]) == 0


def test_no_head_with_a_loss_may_have_the_name_of_their_sum(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("sum.yaml").write_text(
        SPEC.replace("aux: side", "aux: loss").replace("  side:", "  loss:")
    )
    assert main(["train", "sum.yaml", "--data", "six.npz", "-o", "run"]) == 1
    assert (
        "error: the head `loss` (sum.yaml:13:59) has the name of the weighted sum"
        in capsys.readouterr().err
    )
    assert not Path("run").exists()
