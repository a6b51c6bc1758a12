"""The reference of the backend API, from docstrings and signatures."""

from __future__ import annotations

import inspect
from typing import Any

from archspec.backend import (
    Backend,
    BuildOption,
    Engine,
    FileRun,
    FileTensor,
    Format,
    Gap,
    MemoryBudget,
    Provenance,
)
from archspec.backend.api import Emit
from archspec.backend.process_group import ProcessGroup
from archspec.backend.session import (
    BaseSession,
    ForwardResult,
    Gradients,
    Session,
    SessionState,
    SgdConfig,
)
from archspec.backend.tensor_layout import TensorLayout
from archspec.backend.trainer import ParamGroup, Trainer, TrainerConfig, TrainState
from archspec.docgen.declarations import Member, members, prose, signature
from archspec.ir.graph import Graph, Node, Scope
from archspec.ir.op import Op, ParamSpec
from archspec.ops import OPS
from archspec.ops.window import SlidingWindow

_INTRO = """\
<!-- Written by `make generate`, from docstrings and signatures. -->
# The backend API

Every value that a backend provides or receives. [Write a backend](../how-to/write-a-backend.md)
shows them at work in a whole one. Arrays are numpy's; a batch is [N, *input], channels first.
Where a signature says `Array`, read `numpy.ndarray`.
"""

_GROUPS: dict[str, tuple[type[Any], ...]] = {
    "The value": (Backend, Emit, Provenance, Gap, BuildOption, Engine),
    "Tensors and files of weights": (TensorLayout, Format, FileTensor, MemoryBudget, FileRun),
    "Sessions": (Session, BaseSession, ForwardResult, Gradients, SessionState, SgdConfig),
    "Trainers": (Trainer, TrainerConfig, ParamGroup, TrainState, ProcessGroup),
    "The graph": (Graph, Node, Scope, ParamSpec),
}

_OPS = """
## Ops

A lowering receives a node, whose `op` holds the fields of [its kind](ops.md) and these methods.
They resolve every rule of the language, so that no lowering repeats one.
"""


def page() -> str:
    """Return the page: the classes by subject, then the methods of ops."""
    parts = [_INTRO]
    for title, classes in _GROUPS.items():
        parts.append(f"\n## {title}\n")
        parts += [_describe(cls) for cls in classes]
    return "".join([*parts, _OPS, _describe(Op), _op_methods(), _describe(SlidingWindow)])


def _describe(cls: type[Any]) -> str:
    doc = "" if cls.__doc__ is None else f"{prose(cls.__doc__)}\n"
    fields_first = sorted(members(cls), key=lambda member: member.is_method)
    items = "".join(map(_item, fields_first))
    blocks = [f"\n### {cls.__name__}\n", f"    from {cls.__module__} import {cls.__name__}\n"]
    blocks += [block for block in (doc, items) if block]
    return "\n".join(blocks)


def _item(member: Member) -> str:
    doc = " ".join(member.doc.split())
    return f"- `{member.signature}`" + (f": {doc}" if doc else "") + "\n"


def _op_methods() -> str:
    """Return what single ops offer beyond `Op`, each method with the ops that have it."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for kind, op in OPS.items():
        for name, method in inspect.getmembers(op, inspect.isfunction):
            if not name.startswith("_") and not hasattr(Op, name):
                doc = _inherited_doc(op, name)
                kinds.setdefault((signature(method), doc), []).append(kind)
    lines = [
        f"- `{declared}`: {doc} On {_listed(ops)}.\n" for (declared, doc), ops in kinds.items()
    ]
    return "\n### Methods of single ops\n\n" + "".join(lines)


def _inherited_doc(op: type[Op], name: str) -> str:
    """Return a method's docstring on one line, or that of the nearest base class that has one."""
    docs = (getattr(vars(base).get(name), "__doc__", None) for base in op.__mro__)
    return " ".join(prose(next(filter(None, docs), "")).split())


def _listed(kinds: list[str]) -> str:
    return ", ".join(f"`{kind}`" for kind in kinds)
