"""Whatever a spec's names and texts hold, the emitted file is the same few kinds of statements, and computes the same."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from archspec.backend import Provenance
from archspec.conformance.compare import compare_all
from archspec.equivalence.inputs import random_weights
from archspec.ir.graph import Graph
from archspec.ir.op import EvalContext
from archspec.reference import evaluate
from archspec_keras.source import source
from tests.unit.keras.sessions import session
from tests.unit.torch.test_hostile import STRANGE, network

IMPORTS = {"functools", "math", "operator", "os", "typing", "keras", "numpy", "safetensors.numpy"}
STATEMENTS = (ast.Expr, ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign)


def strange(seed: int) -> tuple[Graph, str]:
    rng = random.Random(seed)
    graph = network(rng)
    title, spec, digest, summary, version = ("".join(rng.choices(STRANGE, k=2)) for _ in range(5))
    return graph, source(
        graph, Provenance(title=title, spec=spec, sha256=digest, summary=summary, version=version)
    )


def assert_harmless(tree: ast.Module) -> None:
    """Classes, functions, imports of known modules and tables of texts; calls of what the file knows alone."""
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    assert imported <= IMPORTS
    docstring, *others = tree.body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)
    for node in others:
        assert isinstance(node, STATEMENTS)
        assert not isinstance(node, ast.Expr)
        if isinstance(node, ast.Assign):
            known = (ast.Assign, ast.Name, ast.Store, ast.Load, ast.Dict, ast.Tuple, ast.Constant)
            assert all(isinstance(part, known) for part in ast.walk(node))
    known = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    known |= {
        "range",
        "reduce",
        "super",
        "load_file",
        "tuple",
        "sorted",
        "isinstance",
        "ValueError",
        "len",
        "min",
        "max",
    }
    known |= {"zip", "list", "enumerate"}
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert {func.id for func in calls if isinstance(func, ast.Name)} <= known
    assert {type(func) for func in calls} <= {ast.Name, ast.Attribute, ast.Call}


def holdable(graph: Graph) -> bool:
    """Whether a checkpoint can hold the names: a lone surrogate is no text of a file."""
    return not any(
        0xD800 <= ord(letter) < 0xE000 for name, _, _ in graph.parameters() for letter in name
    )


@pytest.mark.parametrize("seed", [seed for seed in range(14) if holdable(strange(seed)[0])])
def test_strange_names_are_names_and_nothing_else(seed: int) -> None:
    graph, text = strange(seed)
    assert_harmless(ast.parse(text))
    values = random_weights(graph, seed)
    x = np.linspace(-1, 1, 3 * 72).reshape(3, 2, 6, 6)
    opened = session(graph, values)
    for train in (False, True):
        expected = evaluate(graph, values, x, EvalContext(train=train)).outputs
        compare_all(opened.forward(x, train=train).outputs, expected, bound=1e-10)


def test_a_harmful_file_would_be_told() -> None:
    for text in (
        "import os\n",
        '"""d"""\nprint(1)\n',
        '"""d"""\nclass A:\n    x = open("f")\n',
        '"""d"""\nimport subprocess\n',
        '"""d"""\nT = (f"{1}",)\n',
    ):
        with pytest.raises(AssertionError):
            assert_harmless(ast.parse(text))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strange")
    for seed in range(20):
        (folder / f"net{seed}.py").write_bytes(strange(seed)[1].encode())
    return folder


@pytest.mark.parametrize(
    "command", [["check", "--select", "E,F,I,B,UP,W"], ["format", "--check"]], ids=" ".join
)
def test_even_strange_files_are_neat(files: Path, command: list[str]) -> None:
    options = ["--isolated", "--line-length", "100", "--no-cache", str(files)]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
