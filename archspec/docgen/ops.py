"""The reference of the ops, from their declarations, for `archspec ops` and the docs.

>>> print(describe_op(OPS["leaky_relu"]), end="")
leaky_relu
<BLANKLINE>
x if it is positive, else slope * x.
<BLANKLINE>
  leaky_relu
  64x28x28 -> 64x28x28
<BLANKLINE>
options
  slope            Slope on the negative side.
                   a number of at least 0; default 0.01
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from itertools import groupby
from typing import Any, Literal, NamedTuple, cast

from archspec.frontend.schema_words import describe_schema
from archspec.ir.op import Op
from archspec.ir.types import Shape, format_shape
from archspec.ops import FAMILIES, OPS

Format = Literal["text", "markdown"]

_INTRO = """\
<!-- Written by `make generate`, from the declarations in archspec/ops. -->
# Ops

Every op that a step can name, by family; `archspec ops conv` prints one of them. Shapes are those
of one sample, channels first.

Values of options:

- **a size**: one number for all axes, or one per axis: `3`, `3x5`, `[3, 5]`.
- **sides**: a number for every side, one per axis, or a pair `[before, after]` per axis: `1`,
  `[1, 2]`, `[[0, 1], [0, 1]]`; for a convolution or a pool also `1x2`.
- **a rule** of padding, such as `same`: [semantics](../concepts/semantics.md#padding) defines each.

Any option may be an [expression](language.md#expressions) instead. Numbers end at `2**62`.

| family | ops |
|---|---|
"""

_TYPICAL: Shape = (64, 28, 28)
"""The input of an op whose docstring gives no shape."""


class Option(NamedTuple):
    """A field of an op: the values that it takes, its default, and its meaning."""

    name: str
    takes: str
    default: str
    meaning: str


class Example(NamedTuple):
    """A step, the shapes before and after it, and its tensors and multiply-adds, in words."""

    step: str
    before: str
    after: str
    facts: str


def list_ops(format: Format = "text") -> str:
    """Return a line for each op, by family."""
    lines: list[str] = []
    for family, ops in groupby(OPS.values(), key=lambda op: op.family):
        lines.append(f"\n## {family}\n\n" if format == "markdown" else f"\n{family}\n")
        for op in ops:
            summary = " ".join(_prose(op).partition("\n\n")[0].split())
            marked = f"- [`{op.kind}`](#{op.kind}): {_escaped(summary)}\n"
            lines.append(marked if format == "markdown" else f"  {op.kind:<20} {summary}\n")
    return "".join(lines).lstrip("\n")


def describe_op(op: type[Op], format: Format = "text") -> str:
    """Return an op's meaning, an example with its output, and its options."""
    options, (step, before, after, facts) = options_of(op), example_of(op)
    if format == "markdown":
        gives = f"`{step}` " + (
            f"keeps {before}" if before == after else f"takes {before} to {after}"
        )
        head = "\n| option | takes | default | meaning |\n|---|---|---|---|\n" if options else ""
        rows = "".join(
            f"| `{o.name}` | {o.takes} | {o.default} | {_escaped(o.meaning)} |\n" for o in options
        )
        intro = f"### {op.kind}\n\n{_escaped(_prose(op))}\n\n{gives}"
        return f"{intro}{facts and f': {facts}'}.\n{head}{rows}"
    lines = [
        op.kind,
        "",
        _prose(op),
        "",
        f"  {step}",
        f"  {before} -> {after}{facts and f', {facts}'}",
        "",
    ]
    lines.append("options" if options else "no options")
    for option in options:
        default = option.default if option.default == "required" else f"default {option.default}"
        lines += [f"  {option.name:<16} {option.meaning}", f"{'':<18} {option.takes}; {default}"]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page of all ops in the docs."""
    parts = [_INTRO]
    families = [
        (family, list(ops)) for family, ops in groupby(OPS.values(), key=lambda op: op.family)
    ]
    for family, ops in families:
        links = ", ".join(f"[`{op.kind}`](#{op.kind})" for op in ops)
        parts.append(f"| [{family}](#family-{family}) | {links} |\n")
    for module, (family, ops) in zip(FAMILIES, families, strict=True):
        parts.append(
            f"\n## Family {family}\n\n{_escaped(inspect.cleandoc(module.__doc__ or ''))}\n"
        )
        parts += [f"\n{describe_op(op, 'markdown')}" for op in ops]
    return "".join(parts)


def options_of(op: type[Op]) -> list[Option]:
    """Return an op's options, required ones first."""
    schema = op.model_json_schema()
    needed = schema.get("required", ())
    options = [
        Option(
            name,
            _takes(part),
            "required" if name in needed else _shown(part["default"]),
            part["description"],
        )
        for name, part in schema.get("properties", {}).items()
    ]
    return sorted(options, key=lambda option: option.default != "required")


def example_of(op: type[Op]) -> Example:
    """Return the first use of an op in its docstring, as a step of a spec.

    >>> example_of(OPS["linear"])[:3]
    ('linear: {out: 1000}', '1024', '1000')
    >>> example_of(OPS["linear"]).facts
    'weight 1000x1024, bias 1000; 1,024,000 multiply-adds'
    """
    options, inputs = use_of(op)
    layer = op.model_validate(options)
    fields = ", ".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in options.items()
    )
    tensors = ", ".join(
        f"{param.role} {format_shape(param.shape)}" for param in layer.params(*inputs)
    )
    macs = f"{layer.macs(*inputs):,} multiply-adds" if layer.macs(*inputs) else ""
    step = f"{op.kind}: {{{fields}}}" if fields else op.kind
    before, after = " and ".join(map(format_shape, inputs)), format_shape(layer.shape(*inputs))
    return Example(step, before, after, "; ".join(filter(None, (tensors, macs))))


def use_of(op: type[Op]) -> tuple[dict[str, Any], tuple[Shape, ...]]:
    """Return options and input shapes of the first use in a docstring.

    A use reads `Conv(out=64, kernel=3).shape((3, 28, 28))`.
    """
    for line in re.findall(r"^>>> (.*)", inspect.cleandoc(op.__doc__ or ""), re.MULTILINE):
        for node in ast.walk(ast.parse(line)):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Call(func=ast.Name(name), keywords=options), attr=method
                    ),
                    args=inputs,
                ) if name == op.__name__:
                    arguments = {
                        option.arg: ast.literal_eval(option.value)
                        for option in options
                        if option.arg
                    }
                    if method == "apply":
                        return arguments, (_TYPICAL,)
                    return arguments, tuple(map(ast.literal_eval, inputs))
                case _:
                    continue
    raise ValueError(f"the docstring of {op.__name__} uses it nowhere")


def _prose(op: type[Op]) -> str:
    """Return a docstring without its examples."""
    return inspect.cleandoc(op.__doc__ or "").partition(">>>")[0].strip()


def _escaped(text: str) -> str:
    """Return text that Markdown shows unchanged; code in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    plain = (re.sub(r"([*|])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2])
    parts[::2] = plain
    return "".join(parts)


def _takes(schema: dict[str, Any]) -> str:
    """Return a type as messages name it; value types of the language have their own names."""
    choices: list[dict[str, Any]] = schema.get("anyOf", [schema])
    lists = [choice["items"] for choice in choices if choice.get("type") == "array"]
    if lists and "anyOf" in lists[0]:
        return "sides" + "".join(
            f", or {describe_schema(choice)}" for choice in choices if "enum" in choice
        )
    if any("pattern" in choice for choice in choices):
        return "a size" if lists[0]["minimum"] else "a size, 0 allowed"
    return f"a list, each {describe_schema(lists[0])}" if lists else describe_schema(schema)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, cast("list[Any]", value)))
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
