"""Compares emitted sources, which may differ in their names and texts and in nothing else."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Any

NAMES = {"id", "attr", "arg", "name", "asname", "rest"}
"""The fields of syntax nodes that hold an identifier."""


def differences(found: str, plain: str, mark: str) -> list[str]:
    """Return where two sources differ in more than the spec's words; in `plain` these hold `mark`.

    Strings may differ too; a name is free only where the plain one holds the mark, and may there
    be no dunder.
    """
    words = (
        token
        for token in tokenize.generate_tokens(io.StringIO(found).readline)
        if token.type == tokenize.NAME
    )
    # Python reads look-alikes as one name, and so would a syntax tree show them.
    foreign = [
        f"line {token.start[0]}: the name {token.string!r}"
        for token in words
        if not token.string.isascii()
    ]
    return foreign + list(_differ(ast.parse(found), ast.parse(plain), mark, "module"))


def _differ(found: Any, plain: Any, mark: str, path: str) -> Iterator[str]:
    if type(found) is not type(plain):
        yield f"{path}: {type(found).__name__} instead of {type(plain).__name__}"
    elif isinstance(plain, ast.Assign) and _table_of_names(plain) and _table_of_names(found):
        pass  # as many entries as there are names to spell otherwise
    elif isinstance(plain, ast.AST):
        for name, value in ast.iter_fields(plain):
            other = getattr(found, name)
            if name in NAMES and isinstance(value, str) and isinstance(other, str):
                yield from _name(other, value, mark, f"{path}.{name}")
            elif not (name == "value" and isinstance(value, str) and isinstance(other, str)):
                yield from _differ(other, value, mark, f"{path}.{type(plain).__name__}.{name}")
    elif isinstance(plain, list):
        if len(found) != len(plain):
            yield f"{path}: {len(found)} parts instead of {len(plain)}"
        for i, (one, other) in enumerate(zip(found, plain, strict=False)):
            yield from _differ(one, other, mark, f"{path}[{i}]")
    elif found != plain:
        yield f"{path}: {found!r} instead of {plain!r}"


def _name(found: str, plain: str, mark: str, path: str) -> Iterator[str]:
    free = mark in plain.lower()
    if (
        not free and found != plain and not re.fullmatch(rf"{plain}_\d+", found)
    ):  # beside one of the spec's own
        yield f"{path}: the name {found} instead of {plain}"
    if free and found.startswith("__"):
        yield f"{path}: the name {found}"


def _table_of_names(node: ast.AST) -> bool:
    """`RENAMED = {"...": "...", ...}`: texts and nothing else."""
    match node:
        case ast.Assign(
            targets=[ast.Name(id="RENAMED" | "EXACT")], value=ast.Dict(keys=keys, values=values)
        ):
            return all(
                isinstance(part, ast.Constant) and isinstance(part.value, str)
                for part in (*keys, *values)
            )
        case _:
            return False
