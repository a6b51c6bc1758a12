"""A `.pt2` archive of `torch.export`, run node by node."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils import _pytree  # pyright: ignore[reportPrivateUsage] - torch.export names it

from archspec.backend.model_file import FileRun, in_batches, to_input_layout
from archspec.diagnostics import Failure, library_words, quote
from archspec_torch.tensors import to_numpy


def run_exported(path: Path, x: NDArray[Any]) -> FileRun:
    """Return what an exported program computes for a batch [N, *input].

    The program is run as it was exported: one that was exported in train mode stays so. To load it
    can run any code: torch unpickles parts of it, and evaluates its sizes as Python.
    """
    try:
        program = torch.export.load(path)
    except Exception as error:  # torch raises what it likes
        message = f"torch does not load {quote(path)} as an exported program"
        raise Failure(f"{message}: {library_words(error)}") from error
    names: Any = program.graph_signature.user_inputs
    if len(names) != 1:
        raise Failure(f"the program in {quote(path)} has {len(names)} inputs, a spec has one")
    placeholder = next(node for node in program.graph.nodes if node.name == names[0])
    meta: Any = placeholder.meta
    shape = [size if isinstance(size, int) else None for size in meta["val"].shape]
    module: Any = program.module()

    def run(part: NDArray[Any]) -> FileRun:
        values: list[tuple[str, NDArray[Any]]] = []
        with torch.no_grad():
            given = _Recorder(module, values).run(torch.from_numpy(part))
        return FileRun([to_numpy(output) for output in _pytree.tree_leaves(given)], values)

    return in_batches(to_input_layout(x.astype(np.float32), shape), shape[0], run)


class _Recorder(torch.fx.Interpreter):
    """An interpreter that keeps the value of every call."""

    def __init__(self, module: Any, values: list[tuple[str, NDArray[Any]]]) -> None:
        super().__init__(module)
        self.values = values

    def run_node(self, n: torch.fx.Node) -> Any:
        result = super().run_node(n)
        if n.op == "call_function" and isinstance(result, torch.Tensor):
            self.values.append((n.name, to_numpy(result)))
        return result
