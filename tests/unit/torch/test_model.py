"""What a user does with an emitted model: compile, export, trace, other dtypes and layouts, weights that fit or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file

import archspec
from archspec.backend import load as load_backend
from archspec.compiler import write_build
from archspec.weights.weight_source import WeightSource
from archspec_torch.layout import state_dict_keys
from tests.helpers import forked


def slim() -> archspec.Spec:
    """GoogLeNet's parts in small: a table of inception modules with batch norm, dropout, and a train-only head."""
    return archspec.load(Path(__file__).parent / "slim.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_build(
        slim(),
        load_backend("torch"),
        tmp_path_factory.mktemp("built") / "slim",
        weights=WeightSource(seed=1),
    )


@pytest.fixture
def model(folder: Path) -> Any:
    return load_backend("torch").load(folder)


X = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def close(found: torch.Tensor, expected: torch.Tensor, bound: float = 1e-5) -> None:
    assert found.shape == expected.shape
    assert (found.float() - expected).abs().max() <= bound * expected.abs().max()


def test_eval_gives_the_main_output_and_train_all_by_name(model: Any) -> None:
    assert isinstance(model(X), torch.Tensor)
    outputs = model.train()(X)
    assert outputs._fields == ("main", "side")
    assert outputs.main.shape == outputs.side.shape == (3, 5)


def test_compile_needs_no_graph_break_in_either_mode(model: Any) -> None:
    with torch.no_grad():
        close(torch.compile(model, fullgraph=True, backend="aot_eager")(X), model(X))
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model.train()
        expected = [value.clone() for value in model(X)]
        for found, wanted in zip(
            torch.compile(model, fullgraph=True, backend="aot_eager")(X), expected, strict=True
        ):
            close(found, wanted)


def test_export_keeps_the_batch_free(model: Any) -> None:
    program = torch.export.export(model, (X,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    with torch.no_grad():
        for n in (2, 7):
            batch = torch.rand(n, 3, 32, 32)
            close(cast("Any", program.module())(batch), model(batch))


@pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning")
def test_trace_computes_the_same_on_another_batch(model: Any) -> None:
    with torch.no_grad():
        traced = cast("Any", torch.jit.trace(model, (X,)))
        batch = torch.rand(5, 3, 32, 32)
        close(traced(batch), model(batch))


def test_channels_last_computes_the_same(model: Any) -> None:
    with torch.no_grad():
        expected = model(X)
        close(
            model.to(memory_format=torch.channels_last)(
                X.contiguous(memory_format=torch.channels_last)
            ),
            expected,
        )


@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.bfloat16, 5e-2), (torch.float16, 1e-2), (torch.float64, 1e-5)]
)
def test_other_dtypes_run_and_stay_near(model: Any, dtype: torch.dtype, bound: float) -> None:
    with torch.no_grad():
        expected = model(X)
        found = model.to(dtype)(X.to(dtype))
    assert found.dtype == dtype
    close(found, expected, bound)


def test_modules_bear_the_specs_names(model: Any) -> None:
    shown = repr(model)
    for name in ("inception_a", "b1x1", "b3x3", "reduce", "proj", "classifier"):
        assert f"({name}): " in shown
    assert type(model.inception_a) is type(model.inception_b)


def test_neutral_names_map_to_every_tensor_once(model: Any, folder: Path) -> None:
    names = state_dict_keys(slim().graph)
    state = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    assert set(names.values()) == state
    assert set(names) == set(load_file(folder / "weights.safetensors"))


def test_weights_that_do_not_fit_are_listed_at_once(folder: Path, tmp_path: Path) -> None:
    tensors = load_file(folder / "weights.safetensors")
    missing, reshaped = sorted(tensors)[:2]
    del tensors[missing]
    tensors[reshaped] = torch.zeros(1, 2, 3)
    tensors["stranger.weight"] = torch.zeros(1)
    save_file(tensors, tmp_path / "w.safetensors")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import model; model.build_model(sys.argv[2])"
    )
    done = forked.run(
        [sys.executable, "-c", script, str(folder), str(tmp_path / "w.safetensors")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("ValueError: ")
    assert (
        message.count("is missing")
        == message.count("is unexpected")
        == message.count("(1, 2, 3)")
        == 1
    )


@pytest.mark.parametrize("name", ["googlenet", "googlenet-torchvision", "lenet5"])
def test_the_emitted_file_passes_the_linters_as_it_is(name: str, tmp_path: Path) -> None:
    spec = archspec.load(name)
    from archspec.compiler import provenance

    path = tmp_path / "model.py"
    path.write_bytes(load_backend("torch").emit(spec.graph, provenance(spec))["model.py"])
    for command in (
        ["check", "--isolated", "--select", "E,F,I,B,UP,W,SIM", "--line-length", "100"],
        ["format", "--check"],
    ):
        options = ["--isolated", "--line-length", "100"] if command[0] == "format" else []
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *options, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_one_class_per_block_with_the_blocks_arguments() -> None:
    import ast

    from archspec.compiler import provenance

    spec = archspec.load("googlenet")
    tree = ast.parse(load_backend("torch").emit(spec.graph, provenance(spec))["model.py"])
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    assert list(classes) == [
        "LocalResponseNorm", "Convolution", "ReducedConvolution", "Inception", "Classifier", "Auxiliary",
        "GoogLeNetOutput", "GoogLeNet",
    ]  # fmt: skip
    init = next(
        n
        for n in classes["Inception"].body
        if isinstance(n, ast.FunctionDef) and n.name == "__init__"
    )
    assert [a.arg for a in init.args.args] == [
        "self", "in_channels", "n1x1", "n3x3_reduce", "n3x3", "n5x5_reduce", "n5x5", "pool_proj",
    ]  # fmt: skip
    source = load_backend("torch").emit(spec.graph, provenance(spec))["model.py"].decode()
    assert (
        "        self.inception_3a = Inception(192,  64,   96, 128,   16,  32,    32)\n" in source
    )
