"""Bodies as data: steps with their arguments, before any argument has a value.

`frontend/body_parser.py` makes them from the located tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archspec.diagnostics import Report, Span
from archspec.frontend.tree import Tree, YamlScalar
from archspec.ir.expr import Apply, Expr, ExprError, evaluate, names_in


class _Poison:
    """Stands for a value whose error has been reported; whatever reads it stays silent."""

    def __repr__(self) -> str:
        return "POISON"


POISON = _Poison()


class LocatedError(Exception):
    """An expression's failure, with the span to report it at."""

    def __init__(self, error: ExprError, span: Span) -> None:
        super().__init__(error.message)
        self.error = error
        self.span = span

    def report(self, report: Report) -> None:
        report.error(self.error.code, self.span, self.error.message, help=self.error.help)


def expr_span(tree: Tree, error: ExprError) -> Span:
    """Return the part of a scalar that an expression's error is about.

    That is the whole scalar where escapes or folds hide the position.
    """
    if not isinstance(tree, YamlScalar) or not tree.verbatim:
        return tree.span
    return tree.span.part(tree.offset + error.start, tree.offset + error.end)


@dataclass(slots=True, eq=False)
class Argument:
    """A value as written: a constant, an expression, or a collection that holds some.

    `key_span` is the key that the value belongs to.
    """

    key_span: Span
    tree: Tree
    constant: Any = None
    expr: Expr | None = None
    items: list[Argument] | dict[str, Argument] | None = None

    @property
    def span(self) -> Span:
        return self.tree.span

    @property
    def children(self) -> list[Argument]:
        if isinstance(self.items, dict):
            return [*self.items.values()]
        return self.items or []

    def names_read(self) -> frozenset[str]:
        """Return the names of the arguments that it depends on."""
        if self.expr is not None:
            return names_in(self.expr)
        return frozenset[str]().union(*(child.names_read() for child in self.children))

    def evaluate(self, env: Mapping[str, Any]) -> Any:
        """Return its value, or POISON if any part of it is; raise `LocatedError`."""
        if self.expr is not None:
            poisoned = {name for name, value in env.items() if value is POISON}
            if poisoned and not poisoned.isdisjoint(names_in(self.expr)):
                return POISON
            try:
                return evaluate(self.expr, env)
            except ExprError as error:
                raise LocatedError(error, expr_span(self.tree, error)) from None
        if self.items is None:
            return self.constant
        values = [child.evaluate(env) for child in self.children]
        if any(value is POISON for value in values):
            return POISON
        if isinstance(self.items, dict):
            return dict(zip(self.items, values, strict=True))
        return values

    @property
    def hint(self) -> str:
        """The help for a text where a number is needed.

        `$a // 2` is a text that begins with the value of `a`; `${a // 2}` is computed.
        """
        is_joined = isinstance(self.expr, Apply) and self.expr.op == "join"
        return 'an expression needs braces around the whole of it: "${...}"' if is_joined else ""

    @property
    def cost(self) -> int:
        """The approximate work of evaluating it once."""
        text_cost = 0
        if isinstance(self.tree, YamlScalar):
            # Copying a constant is far cheaper per character than evaluating an expression.
            text_cost = len(self.tree.text) // (64 if self.expr is None else 1)
        return 2 + text_cost + sum(child.cost for child in self.children)


@dataclass(eq=False)
class Step:
    """One step: an op or block with its arguments, a merge with its branches, or a repeat.

    `kind` is the name of the op, block or structure. `reserved` and `claims` are the keys beside
    it. An `invalid` step is malformed, which has been reported: its value is unknown.
    """

    kind: str
    span: Span
    end: Span
    arguments: dict[str, Argument] = field(default_factory=dict[str, Argument])
    reserved: dict[str, Argument] = field(default_factory=dict[str, Argument])
    claims: dict[str, YamlScalar] = field(default_factory=dict[str, YamlScalar])
    branches: dict[str, tuple[Span, Body]] | None = None
    body: Body | None = None
    is_row: bool = False
    invalid: bool = False

    @cached_property
    def cost(self) -> int:
        """The approximate work of elaborating it once, without the steps inside it."""
        arguments = (*self.arguments.values(), *self.reserved.values())
        return 2 + sum(argument.cost for argument in arguments) + 8 * len(self.branches or ())


Body = list[Step]


@dataclass(slots=True, eq=False)
class Parameter:
    """A declared argument of a block: its type and default."""

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
        """The approximate work of giving its arguments values."""
        defaults = (parameter.default for parameter in self.parameters.values())
        return 8 + sum(2 + default.cost if default else 2 for default in defaults)

    @cached_property
    def default_exprs(self) -> Mapping[str, Expr]:
        """The defaults of arguments that are expressions, over the arguments before them."""
        defaults = {name: parameter.default for name, parameter in self.parameters.items()}
        return {
            name: default.expr
            for name, default in defaults.items()
            if default is not None and default.expr is not None
        }
