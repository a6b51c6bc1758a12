"""Values of a spec as `Argument`s: their expressions are parsed, and none is evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from archspec.diagnostics import Report, Span
from archspec.frontend.expr_parser import parse_expression
from archspec.frontend.step import POISON, Argument, LocatedError, expr_span
from archspec.frontend.tree import Tree, YamlList, YamlMap, YamlScalar
from archspec.ir.expr import ExprError, names_in

MAX_EXPRESSIONS = 500_000
"""Characters that all expressions of a spec may have together."""


class ArgumentParser:
    """Parses values; `globals` are the network's arguments, visible in every block.

    `read_names` collects the names that the expressions read.
    """

    def __init__(self, report: Report, globals: Set[str]) -> None:
        self.report = report
        self.globals = globals
        self.read_names: set[str] = set()
        self.characters = 0

    def argument(self, key_span: Span, tree: Tree, names: Set[str]) -> Argument:
        """Return a value with its expressions parsed; `names` are those that they may read.

        An expression that cannot be parsed is reported, and its value is POISON.
        """
        if isinstance(tree, YamlList):
            items = [self.argument(item.span, item, names) for item in tree.items]
            return Argument(key_span, tree, items=items)
        if isinstance(tree, YamlMap):
            entries = {key.text: self.argument(key.span, value, names) for key, value in tree}
            return Argument(key_span, tree, items=entries)
        if not isinstance(tree.value, str) or "$" not in tree.value:
            return Argument(key_span, tree, constant=tree.value)
        return self._expression(key_span, tree, tree.value, names)

    def _expression(self, key_span: Span, tree: YamlScalar, text: str, names: Set[str]) -> Argument:
        self.characters += len(tree.text)
        if self.characters > MAX_EXPRESSIONS:
            message = f"the expressions have more than {MAX_EXPRESSIONS:,} characters together"
            self.report.stop("AS0106", tree.span, message, help="use blocks and `repeat`")
        try:
            parsed = parse_expression(text, names)
        except ExprError as error:
            LocatedError(error, expr_span(tree, error)).report(self.report)
            # It may have read any of them: none should be reported as unused.
            self.read_names |= names
            return Argument(key_span, tree, constant=POISON)
        if isinstance(parsed, str):
            return Argument(key_span, tree, constant=parsed)
        self.read_names |= names_in(parsed)
        return Argument(key_span, tree, expr=parsed)


def evaluate(argument: Argument, values: Mapping[str, Any], report: Report) -> Any:
    """Return an argument's value, or POISON with the error reported."""
    try:
        return argument.evaluate(values)
    except LocatedError as error:
        error.report(report)
        return POISON
