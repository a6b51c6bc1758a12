"""The reference of the ops, from their declarations: `archspec ops` and the pages in the docs."""

from __future__ import annotations

import inspect
from itertools import groupby
from typing import Any, Literal

from archspec.op import Op
from archspec.ops import OPS

Format = Literal["text", "markdown"]


def list_ops(format: Format = "text") -> str:
    """Every op in one line, by family."""
    lines: list[str] = []
    for family, ops in groupby(OPS.values(), key=lambda op: op.family):
        lines.append(f"\n## {family}\n\n" if format == "markdown" else f"\n{family}\n")
        for op in ops:
            lines.append(f"- [`{op.kind}`](#{op.kind}): {_summary(op)}\n" if format == "markdown" else f"  {op.kind:<20} {_summary(op)}\n")
    return "".join(lines).lstrip("\n")


def describe_op(op: type[Op], format: Format = "text") -> str:
    """An op's meaning, options and parameters."""
    schema = op.model_json_schema()
    rows = [_row(name, part, name in schema.get("required", ())) for name, part in schema.get("properties", {}).items()]
    doc = inspect.cleandoc(op.__doc__ or "")
    if format == "markdown":
        prose, _, example = doc.partition(">>>")
        code = f"\n```pycon\n>>>{example}\n```\n" if example else ""
        table = "".join(f"| `{n}` | {t} | {d} | {text} |\n" for n, t, d, text in rows)
        head = "\n| option | takes | default | meaning |\n|---|---|---|---|\n" if rows else ""
        return f"### {op.kind}\n\n{prose.strip()}\n{head}{table.replace('<', '&lt;')}{code}"
    options = "".join(f"  {n:<16} {text}\n{'':<18} takes {t}; {d}\n" for n, t, d, text in rows)
    inputs = "takes two values or more\n" if op.many else ""
    return f"{op.kind}\n\n{doc}\n\n{inputs}" + (f"options\n{options}" if rows else "no options\n")


def _summary(op: type[Op]) -> str:
    return " ".join(inspect.cleandoc(op.__doc__ or "").partition("\n\n")[0].split())


def _row(name: str, part: dict[str, Any], required: bool) -> tuple[str, str, str, str]:
    from archspec.spec.validate import expected

    default = "required" if required else f"default {_shown(part.get('default'))}"
    return name, expected(part), default, part.get("description", "")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
