"""Whatever a spec's names and texts hold, the emitted file is the same few kinds of statements, and computes the same."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from archspec.backend import Provenance
from archspec.conformance.compare import compare_all
from archspec.ir.expr import Attribute, Expr, Name
from archspec.ir.graph import Graph, Head, Input, Node, Scope
from archspec.ir.op import EvalContext, Op
from archspec.ir.types import Patch
from archspec.ops import OPS
from archspec.reference import evaluate
from tests.helpers.emitted import by_head, filled, run_source, source, tensors
from tests.helpers.graphs import SPAN

STRANGE = [
    '"""', "'''", "'\"", "\\", "\\N{BULLET}", "\\u0041", "\n", "\r", "\t", "\x00", "\u2028", "\u202e", "\ud800", " ",
    "import os; os.abort()", "__import__('os').abort()", "{x}", "{__import__('os').abort()}", "%s", "# type: ignore",
    "fmt: off", "# noqa", "class", "lambda", "None", "match", "__init__", "__class__", "__debug__", "_", "nn", "torch",
    "Tensor", "self", "x", "super", "range", "OrderedDict", "NamedTuple", "ValueError", "Any", "build_model", "attribute", "RENAMED", "i",
    "in_channels", "skip", "kernel", "forward", "train", "T_destination", "weight", "running_mean", "num_batches_tracked",
    "0", "1x1", "#1x1", "l", "ｆｏｒｗａｒｄ", "ﬀ", "𝒙", "а", "é", "卷积", "a" * 10_000,
]  # fmt: skip


class Names:
    """Draws strange names, each once."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.used = rng, {"input"}

    def __call__(self) -> str:
        while True:
            name = "".join(self.rng.choices(STRANGE, k=self.rng.choice((1, 1, 2)))).replace(
                ".", "_"
            )
            if name not in self.used:
                self.used.add(name)
                return name


def network(rng: random.Random) -> Graph:
    """Three instances of a block with two branches, a classifier, a head for training: all with strange names."""
    outer, inner = Names(rng), Names(rng)
    classes, out, patch = (Names(rng)() for _ in range(3))
    root = Scope(outer(), "network", SPAN, args={classes: 5})
    nodes = [Node(0, "input", Input(), (), (2, 6, 6), root, SPAN)]

    def add(name: str, op: Op, scope: Scope, *inputs: int, row: bool = False, **exprs: Expr) -> int:
        shape = op.shape(*(nodes[i].shape for i in inputs))
        nodes.append(Node(len(nodes), name, op, inputs, shape, scope, SPAN, exprs, {}, row))
        return len(nodes) - 1

    block, left, right, merge, first, second, third, doc = (inner() for _ in range(8))
    arg, size = Name(out, (0, 0)), Attribute(Name(patch, (0, 0)), "kernel", (0, 0))
    at = 0
    for number in range(3):
        args = {out: 3 + number, patch: Patch((3,), (1,))} if out != patch else {out: 3 + number}
        scope = Scope(outer(), "block", SPAN, root, block, args, {}, True, doc)
        one, two = Scope(left, "branch", SPAN, scope), Scope(right, "branch", SPAN, scope)
        conv = OPS["conv"].model_validate({"out": 3 + number, "kernel": 3, "padding": "symmetric"})
        a = add(first, conv, one, at, out=arg, kernel=size)
        b = add(
            third,
            OPS["batch_norm"](),
            two,
            add(second, OPS["conv"].model_validate({"out": 4, "kernel": 1}), two, at),
        )
        at = add(merge, OPS["concat"](), scope, a, b)
    side = Scope(outer(), "head", SPAN, root, block)
    aux = add(second, OPS["relu"](), side, add(first, OPS["global_max_pool"](), side, at))
    at = add(outer(), OPS["flatten"](), root, add(outer(), OPS["global_avg_pool"](), root, at))
    at = add(outer(), OPS["linear"].model_validate({"out": 5}), root, at, out=Name(classes, (0, 0)))
    heads = Names(rng)
    return Graph(
        root.name,
        tuple(nodes),
        (Head(heads(), at), Head(heads(), aux, train_only=True)),
        root,
        root.args,
    )


def strange(seed: int) -> tuple[Graph, str]:
    rng = random.Random(seed)
    graph = network(rng)
    title, spec, digest, summary, version = ("".join(rng.choices(STRANGE, k=2)) for _ in range(5))
    return graph, source(
        graph, Provenance(title=title, spec=spec, sha256=digest, summary=summary, version=version)
    )


@pytest.mark.parametrize("seed", range(40))
def test_strange_names_are_names_and_nothing_else(seed: int) -> None:
    graph, text = strange(seed)
    tree = ast.parse(text)
    assert_harmless(tree)
    values = tensors(graph)
    x = torch.linspace(-1, 1, 3 * 72, dtype=torch.float64).reshape(3, 2, 6, 6)
    for train in (False, True):
        model = filled(graph, run_source(text), values, train=train)
        expected = evaluate(graph, values, x.numpy(), EvalContext(train=train)).outputs
        compare_all(by_head(graph, model(x), train=train), expected, bound=1e-10)


def assert_harmless(tree: ast.Module) -> None:
    """Classes, functions, imports of known modules and tables of texts; calls only of what the file itself knows."""
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    assert imported <= {
        "math", "collections", "collections.abc", "os", "typing", "torch", "torch.nn.functional", "safetensors.torch",
    }  # fmt: skip
    assert {type(node) for node in tree.body} <= {
        ast.Expr,
        ast.Import,
        ast.ImportFrom,
        ast.ClassDef,
        ast.FunctionDef,
        ast.Assign,
    }
    docstring, *others = tree.body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)
    for node in others:
        assert not isinstance(node, ast.Expr)
        if isinstance(node, ast.Assign):
            assert all(
                type(part) in (ast.Assign, ast.Name, ast.Store, ast.Dict, ast.Constant)
                for part in ast.walk(node)
            )
    known = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    known |= {"super", "OrderedDict", "load_file", "tuple", "sorted", "ValueError", "range"}
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called <= known


def test_a_harmful_file_would_be_told() -> None:
    for text in (
        "import os\n",
        '"""d"""\nprint(1)\n',
        '"""d"""\nclass A:\n    x = open("f")\n',
        '"""d"""\nimport subprocess\n',
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
    "command", [["check", "--select", "E,F,I,B,UP,W"], ["format", "--check"]], ids=["check", "format"]
)  # fmt: skip
def test_even_strange_files_are_neat(files: Path, command: list[str]) -> None:
    options: list[Any] = ["--isolated", "--line-length", "100", "--no-cache", files]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
