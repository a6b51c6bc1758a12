"""Bodies as typed steps: what a spec's blocks and network say, before any argument has a value.

A body is a list of steps; a table becomes the steps that its rows stand for. Everything that is wrong with the form
(unknown names, two ops in a step, a row too short) is reported here, once, whether or not a block is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from archspec.diagnostics import Note, Report, Span, did_you_mean, quote
from archspec.expr import Expr, ExprError, evaluate, names_in
from archspec.ops import OPS
from archspec.spec.parse import parse
from archspec.spec.tree import List, Map, Scalar, Tree, describe, is_null

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

    def reads(self) -> frozenset[str]:
        """The arguments that it depends on."""
        if self.expr is not None:
            return names_in(self.expr)
        items = self.items.values() if isinstance(self.items, dict) else self.items or ()
        return frozenset[str]().union(*(item.reads() for item in items))

    def value(self, env: Mapping[str, Any]) -> Any:
        """Its value; raises `Located`."""
        if self.expr is not None:
            try:
                return evaluate(self.expr, env)
            except ExprError as error:
                raise Located(error, expr_span(self.tree, error)) from None
        if isinstance(self.items, list):
            return [item.value(env) for item in self.items]
        if self.items is not None:
            return {key: item.value(env) for key, item in self.items.items()}
        return self.constant


class Located(Exception):
    """An expression's failure with its place."""

    def __init__(self, error: ExprError, span: Span) -> None:
        super().__init__(error.message)
        self.error, self.span = error, span

    def report(self, report: Report) -> None:
        report.error(self.error.code, self.span, self.error.message, help=self.error.help)


def expr_span(tree: Tree, error: ExprError) -> Span:
    """The part of a scalar that an expression's error speaks of."""
    offset = tree.offset if isinstance(tree, Scalar) else 0
    return tree.span.part(offset + error.start, offset + error.end)


@dataclass(slots=True, eq=False)
class Step:
    """One step: an op or block with its arguments, a merge with its branches, or a repeat with its body."""

    what: str
    span: Span
    end: Span
    arguments: dict[str, Argument] = field(default_factory=dict[str, Argument])
    reserved: dict[str, Argument] = field(default_factory=dict[str, Argument])
    claims: dict[str, Scalar] = field(default_factory=dict[str, Scalar])
    branches: dict[str, tuple[Span, Body]] | None = None
    body: Body | None = None
    row: bool = False


Body = list[Step]


@dataclass(slots=True, eq=False)
class Parameter:
    """A block's argument: its type and default."""

    name: str
    type: str
    span: Span
    default: Argument | None = None


@dataclass(slots=True, eq=False)
class Block:
    name: str
    span: Span
    parameters: dict[str, Parameter]
    body: Body
    doc: str = ""


class BodyReader:
    """Reads bodies; `globals` are the network's arguments, visible in every block."""

    def __init__(
        self, report: Report, parameters: Mapping[str, Mapping[str, Parameter] | None], globals: Set[str]
    ) -> None:
        self.report, self.parameters, self.globals = report, parameters, globals
        self.used: set[str] = set()
        self.read_names: set[str] = set()

    def body(self, tree: Tree | None, names: Set[str]) -> Body:
        """The steps of a list; `names` are the arguments that its expressions may read."""
        if tree is None or is_null(tree):
            return []
        if not isinstance(tree, List):
            self.report.error(
                "AS0204",
                tree.span,
                f"a body is a list of steps, found {describe(tree)}",
                help="start each step with `- `",
            )
            return []
        steps: Body = []
        for item in tree.items:
            steps.extend(self.step(item, names))
        return steps

    def step(self, tree: Tree, names: Set[str]) -> Body:
        if isinstance(tree, Scalar) and isinstance(tree.value, str):
            return self.named(tree, None, tree, {}, {}, names)
        if not isinstance(tree, Map):
            self.report.error("AS0204", tree.span, f"a step is an op's name or a mapping, found {describe(tree)}")
            return []
        keys = [key for key, _ in tree if key.text not in RESERVED]
        key = self.choose(keys, tree)
        if key is None:
            return []
        reserved, claims = self.reserved({k.text: (k, v) for k, v in tree if k.text in RESERVED}, names)
        return self.named(key, tree.get(key.text), tree, reserved, claims, names)

    def choose(self, keys: list[Scalar], tree: Map) -> Scalar | None:
        """The key that names the step's op; the others are typos or one op too many."""
        known = [k for k in keys if k.text in OPS or k.text in self.parameters or k.text in STRUCTURES]
        if len(keys) == 1:
            return keys[0]
        if len(known) == 1:
            for key in keys:
                if key is not known[0]:
                    help = did_you_mean(key.text, RESERVED, "keys of a step")
                    self.report.error("AS0202", key.span, f"unknown key {quote(key.text)} in a step", help=help)
            return known[0]
        found = " and ".join(quote(k.text) for k in keys[:4]) or "none"
        span = keys[1].span if keys else tree.span
        self.report.error(
            "AS0206", span, f"a step names one op or block, found {found}", help="start a new step with `- `"
        )
        return None

    def argument(self, key: Span, tree: Tree, names: Set[str]) -> Argument:
        """A value, its expressions parsed; what cannot be parsed is reported and reads as null."""
        if isinstance(tree, List):
            items = [self.argument(item.span, item, names) for item in tree.items]
            return Argument(key, tree, items=items)
        if isinstance(tree, Map):
            return Argument(key, tree, items={k.text: self.argument(k.span, v, names) for k, v in tree})
        if isinstance(tree.value, str) and "$" in tree.value:
            try:
                parsed = parse(tree.value, names)
            except ExprError as error:
                Located(error, expr_span(tree, error)).report(self.report)
                self.read_names |= set(names)
                return Argument(key, tree, constant=Broken)
            if isinstance(parsed, str):
                return Argument(key, tree, constant=parsed)
            self.read_names |= names_in(parsed)
            return Argument(key, tree, expr=parsed)
        return Argument(key, tree, constant=tree.value)

    def reserved(
        self, found: Mapping[str, tuple[Scalar, Tree]], names: Set[str]
    ) -> tuple[dict[str, Argument], dict[str, Scalar]]:
        reserved: dict[str, Argument] = {}
        claims: dict[str, Scalar] = {}
        for text, (key, value) in found.items():
            if is_null(value):
                continue
            if text in CLAIMS:
                if isinstance(value, Scalar):
                    claims[text] = value
                else:
                    self.report.error(
                        "AS0204", value.span, f"the claim {quote(text)} is a figure, found {describe(value)}"
                    )
            else:
                reserved[text] = self.argument(key.span, value, names)
        return reserved, claims

    def named(
        self,
        key: Scalar,
        value: Tree | None,
        whole: Tree,
        reserved: dict[str, Argument],
        claims: dict[str, Scalar],
        names: Set[str],
    ) -> Body:
        what = key.text
        step = Step(what, key.span, whole.span, reserved=reserved, claims=claims)
        if what == "table":
            return self.table(value, key, names)
        if what == "repeat":
            return self.repeat(step, value, names)
        op = OPS.get(what)
        if op is None and what not in self.parameters:
            help = did_you_mean(what, [*self.parameters, *OPS, *STRUCTURES], "ops and blocks")
            self.report.error("AS0203", key.span, f"unknown op or block {quote(what)}", help=help)
            return []
        self.used.add(what)
        if op is not None and op.many:
            return self.merge(step, value, names)
        if isinstance(value, Map):
            for name, argument in value:
                step.arguments[name.text] = self.argument(name.span, argument, names)
        elif not is_null(value):
            assert value is not None
            message = f"the arguments of {quote(what)} are a mapping, found {describe(value)}"
            self.report.error("AS0204", value.span, message, help=f"write `{what[:40]}: {{name: value}}`")
            return []
        self.check_names(step)
        return [step]

    def check_names(self, step: Step) -> None:
        """Every argument has to be one that the op or block knows."""
        block = self.parameters.get(step.what)
        known = list(block) if block is not None else list(OPS[step.what].model_fields) if step.what in OPS else None
        if known is None:
            return
        for name in [n for n in step.arguments if n not in known]:
            argument = step.arguments.pop(name)
            code, what = ("AS0209", "column") if step.row else ("AS0202", "argument")
            help = did_you_mean(name, known, f"arguments of {step.what}")
            message = f"{quote(step.what)} has no argument {quote(name)}" + (
                f", the {what} of this cell" if step.row else ""
            )
            self.report.error(code, argument.key, message, help=help)

    def merge(self, step: Step, value: Tree | None, names: Set[str]) -> Body:
        if is_null(value):
            if "from" not in step.reserved:
                message = f"{quote(step.what)} needs branches, or `from` with the steps that it joins"
                self.report.error("AS0311", step.span, message)
                return []
            return [step]
        if not isinstance(value, Map):
            assert value is not None
            message = f"the branches of {quote(step.what)} are a mapping of names to bodies, found {describe(value)}"
            self.report.error("AS0204", value.span, message)
            return []
        if isinstance(sources := step.reserved.get("from"), Argument) and isinstance(sources.tree, List):
            message = "a merge has branches or a list of steps under `from`, not both"
            self.report.error("AS0206", sources.key, message)
        step.branches = {key.text: (key.span, self.body(body, names)) for key, body in value}
        if len(step.branches) < 2:
            self.report.error(
                "AS0311", step.span, f"{quote(step.what)} joins two branches or more, found {len(step.branches)}"
            )
        return [step]

    def repeat(self, step: Step, value: Tree | None, names: Set[str]) -> Body:
        if not isinstance(value, Map):
            self.report.error("AS0204", step.span, "`repeat` takes a mapping: {times: 3, as: i, body: [...]}")
            return []
        for key, _ in value:
            if key.text not in ("times", "as", "body"):
                help = did_you_mean(key.text, ("times", "as", "body"))
                self.report.error("AS0202", key.span, f"unknown key {quote(key.text)} in `repeat`", help=help)
        for needed in ("times", "body"):
            if value.get(needed) is None:
                self.report.error("AS0201", step.span, f"`repeat` has no {quote(needed)}")
                return []
        counter = value.get("as")
        inner = names
        if counter is not None:
            if not (isinstance(counter, Scalar) and isinstance(counter.value, str) and counter.text.isidentifier()):
                self.report.error("AS0204", counter.span, "`as` is the counter's name, such as `i`")
                return []
            if counter.text in names:
                self.report.error(
                    "AS0403", counter.span, f"{quote(counter.text)} is an argument already", help="choose another name"
                )
            inner = names | {counter.text}
            step.arguments["as"] = Argument(counter.span, counter, constant=counter.text)
        times = value.get("times")
        assert times is not None
        step.arguments["times"] = self.argument(value.key("times").span, times, names)
        step.body = self.body(value.get("body"), inner)
        return [step]

    def table(self, value: Tree | None, key: Scalar, names: Set[str]) -> Body:
        """Rows as steps: `type` picks the op or block, the other columns are its arguments or a step's own keys."""
        columns, rows = (value.get("columns"), value.get("rows")) if isinstance(value, Map) else (None, None)
        if isinstance(value, Map):
            for unknown, _ in value:
                if unknown.text not in ("columns", "rows"):
                    help = did_you_mean(unknown.text, ("columns", "rows"))
                    self.report.error(
                        "AS0202", unknown.span, f"unknown key {quote(unknown.text)} in a table", help=help
                    )
        if not isinstance(columns, List) or not isinstance(rows, List):
            self.report.error("AS0201", key.span, "a table has `columns` and `rows`, two lists")
            return []
        heads = [c for c in columns.items if isinstance(c, Scalar)]
        titles = [c.text for c in heads]
        for at, cell in enumerate(heads):
            if cell.text in titles[:at]:
                notes = [Note("first given", heads[titles.index(cell.text)].span)]
                self.report.error("AS0403", cell.span, f"two columns are called {quote(cell.text)}", notes=notes)
        if "type" not in titles or len(heads) != len(columns.items):
            self.report.error("AS0201", columns.span, "a table needs a column `type`, and every column a name")
            return []
        steps: Body = []
        for row in rows.items:
            steps.extend(self.row(row, heads, columns, names) if isinstance(row, List) else self.step(row, names))
        return steps

    def row(self, row: List, heads: list[Scalar], columns: List, names: Set[str]) -> Body:
        if len(row.items) != len(heads):
            message = f"the row has {len(row.items)} cells, the table {len(heads)} columns"
            help = (
                "write `~` for a cell that is not given"
                if len(row.items) < len(heads)
                else "remove a cell, or name its column"
            )
            self.report.error("AS0208", row.span, message, notes=[Note("columns", columns.span)], help=help)
            return []
        cells = {head.text: (head, cell) for head, cell in zip(heads, row.items, strict=True)}
        kind = cells.pop("type")[1]
        if not isinstance(kind, Scalar) or kind.value is None:
            self.report.error("AS0203", kind.span, "the cell `type` names an op or block")
            return []
        if kind.text in STRUCTURES:
            self.report.error(
                "AS0203", kind.span, f"a row cannot be a {quote(kind.text)}", help="write a step between the rows"
            )
            return []
        own = {name: cell for name, cell in cells.items() if name in RESERVED}
        reserved, claims = self.reserved({n: (c, v) for n, (c, v) in own.items()}, names)
        steps = self.named(kind, None, row, reserved, claims, names)
        for step in steps:
            step.row = True
            for name, (_, cell) in cells.items():
                if name not in RESERVED and not is_null(cell):
                    step.arguments[name] = self.argument(cell.span, cell, names)
            self.check_names(step)
        return steps


class _Broken:
    """Stands for a value whose error has been reported."""

    def __repr__(self) -> str:
        return "Broken"


Broken = _Broken()
