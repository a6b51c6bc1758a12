"""Emitted files pass a type checker as they are, those that copy helpers too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import archspec
from archspec.codegen.lowering import Module
from archspec.ir.graph import Graph, Head, Input, Node, Scope
from archspec_torch.lowerings import lower
from tests.helpers.emitted import source
from tests.helpers.graphs import SPAN
from tests.helpers.ops import build
from tests.unit.torch.test_lowerings import CASES


def test_a_type_checker_finds_nothing(tmp_path: Path) -> None:
    root = Scope("net", "network", SPAN)
    for number, (kind, fields, shape, _) in enumerate(CASES):
        op = build(kind, **fields)
        module = lower(op, shape)
        if isinstance(module, Module) and module.helper:
            nodes = (
                Node(0, "input", Input(), (), shape, root, SPAN),
                Node(1, kind, op, (0,), op.shape(shape), root, SPAN),
            )
            text = source(Graph("net", nodes, (Head("main", 1),), root))
            (tmp_path / f"helper_{number}.py").write_text(text)
    for name in ("googlenet-torchvision", "lenet5"):
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(source(archspec.load(name).graph))
    config = {"include": ["."], "typeCheckingMode": "standard", "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    command = [
        sys.executable,
        "-m",
        "pyright",
        "--pythonpath",
        sys.executable,
        "--outputjson",
        "-p",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == len(list(tmp_path.glob("*.py")))
