"""Bodies as data: typed steps with their arguments, before any argument has a value. `spec/form.py` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archspec.diagnostics import Report, Span
from archspec.frontend.tree import Scalar, Tree
from archspec.ir.expr import Apply, Expr, ExprError, evaluate, names_in

CLAIMS = ("params", "ops", "depth")
RESERVED = ("name", "from", "when", "output", "aux", "init", *CLAIMS)
STRUCTURES = ("repeat", "table")


@dataclass(slots=True, eq=False)
class Argument:
    """A value as written: a constant, an expression, or a collection that holds some."""

    key: Span
    tree: Tree
    constant: Any = None
    expr: Expr | None = None
    items: list[Argument] | dict[str, Argument] | None = None

    @property
    def span(self) -> Span:
        return self.tree.span

    @property
    def parts(self) -> list[Argument]:
        return [*self.items.values()] if isinstance(self.items, dict) else self.items or []

    def reads(self) -> frozenset[str]:
        """The arguments that it depends on."""
        if self.expr is not None:
            return names_in(self.expr)
        return frozenset[str]().union(*(part.reads() for part in self.parts))

    def value(self, env: Mapping[str, Any]) -> Any:
        """Its value; Broken where a part of it is; raises `Located`."""
        if self.expr is not None:
            try:
                return evaluate(self.expr, env)
            except ExprError as error:
                raise Located(error, expr_span(self.tree, error)) from None
        if self.items is None:
            return self.constant
        values = [part.value(env) for part in self.parts]
        if any(value is Broken for value in values):
            return Broken
        return (
            dict(zip(self.items, values, strict=True)) if isinstance(self.items, dict) else values
        )

    @property
    def hint(self) -> str:
        """The help for a text where a number is due: `$a // 2` is a text, `${a // 2}` is computed."""
        joined = isinstance(self.expr, Apply) and self.expr.op == "join"
        return 'an expression needs braces around the whole of it: "${...}"' if joined else ""

    @property
    def cost(self) -> int:
        """About how much it takes to evaluate it."""
        text = (
            len(self.tree.text) // (64 if self.expr is None else 1)
            if isinstance(self.tree, Scalar)
            else 0
        )
        return 2 + text + sum(part.cost for part in self.parts)


class Located(Exception):
    """An expression's failure with its place."""

    def __init__(self, error: ExprError, span: Span) -> None:
        super().__init__(error.message)
        self.error, self.span = error, span

    def report(self, report: Report) -> None:
        report.error(self.error.code, self.span, self.error.message, help=self.error.help)


def expr_span(tree: Tree, error: ExprError) -> Span:
    """The part of a scalar that an expression's error speaks of; the whole where escapes or folds hide it."""
    if not isinstance(tree, Scalar) or not tree.verbatim:
        return tree.span
    return tree.span.part(tree.offset + error.start, tree.offset + error.end)


@dataclass(eq=False)
class Step:
    """One step: an op or block with its arguments, a merge with its branches, or a repeat with its body.

    `lost` is one whose form is wrong, which has been reported: its value is unknown.
    """

    what: str
    span: Span
    end: Span
    arguments: dict[str, Argument] = field(default_factory=dict[str, Argument])
    reserved: dict[str, Argument] = field(default_factory=dict[str, Argument])
    claims: dict[str, Scalar] = field(default_factory=dict[str, Scalar])
    branches: dict[str, tuple[Span, Body]] | None = None
    body: Body | None = None
    row: bool = False
    lost: bool = False

    @cached_property
    def cost(self) -> int:
        """About how much work one run through it is, what is inside it aside."""
        arguments = (*self.arguments.values(), *self.reserved.values())
        return 2 + sum(argument.cost for argument in arguments) + 8 * len(self.branches or ())


Body = list[Step]


@dataclass(slots=True, eq=False)
class Parameter:
    """A block's argument: its type and default."""

    name: str
    type: str
    span: Span
    default: Argument | None = None


@dataclass(eq=False)
class Block:
    """A block as written."""

    name: str
    span: Span
    parameters: dict[str, Parameter]
    body: Body
    doc: str = ""

    @cached_property
    def cost(self) -> int:
        """About how much work it is to give its arguments values."""
        defaults = (parameter.default for parameter in self.parameters.values())
        return 8 + sum(2 + default.cost if default else 2 for default in defaults)


class _Broken:
    """Stands for a value whose error has been reported."""

    def __repr__(self) -> str:
        return "Broken"


Broken = _Broken()
