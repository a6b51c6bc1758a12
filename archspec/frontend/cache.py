"""Caches of what specs repeat: equal layers are one object, and so are equal texts.

Trying a thousand variants of a spec reads the same files, and nearly the same layers, each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from archspec.diagnostics import Report, Source
from archspec.frontend.tree import Tree, copy_tree
from archspec.frontend.yaml import Budget, parse_yaml
from archspec.ir.expr import Features
from archspec.ir.op import Op
from archspec.ir.types import Shape

MAX_CACHED_TEXT = 2**16
"""The longest text, in characters, whose tree is cached."""


def make_op(kind: type[Op], values: Mapping[str, Any]) -> Op:
    """Return the op with these fields; raise pydantic's `ValidationError`."""
    # Lists and mappings have no hash, so that no cache can look them up.
    if any(isinstance(value, list | dict) for value in values.values()):
        return kind.model_validate(values)
    return _cached_op(kind, *values, *values.values())


# Typed, since True equals 1 and 1.0, and a field may accept only one of them.
@lru_cache(maxsize=2**12, typed=True)
def _cached_op(kind: type[Op], *items: Any) -> Op:
    names, values = items[: len(items) // 2], items[len(items) // 2 :]
    return kind.model_validate(dict(zip(names, values, strict=True)))


@lru_cache(maxsize=2**12)
def output_shape(op: Op, *inputs: Shape) -> Shape:
    """Return `op.shape(*inputs)`; raise `ShapeError`."""
    return op.shape(*inputs)


@lru_cache(maxsize=2**10)
def input_features(shape: Shape) -> Features:
    """Return the value of `in` for a step with that input."""
    return Features(shape)


def parse_cached(source: Source, report: Report, budget: Budget) -> Tree | None:
    """Parse a text as `parse_yaml` does, or copy its tree if it was parsed without an error."""
    cached = _parse_valid(source.name, source.text) if len(source.text) <= MAX_CACHED_TEXT else None
    # Over the budget, parsing anew reports where it ran out.
    if cached is None or cached[1] > budget.values:
        return parse_yaml(source, report, budget=budget)
    tree, values = cached
    budget.values -= values
    return copy_tree(tree)


@lru_cache(maxsize=16)
def _parse_valid(name: str, text: str) -> tuple[Tree, int] | None:
    """Return a text's tree and how many values it holds; None if it has an error or a warning."""
    report = Report()
    budget = Budget()
    tree = parse_yaml(Source(name, text), report, budget=budget)
    if tree is None or report.by_location:
        return None
    return tree, Budget.values - budget.values
