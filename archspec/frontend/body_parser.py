"""Reads bodies: what a spec's blocks and network say, as typed steps.

A body is a list of steps; a table becomes the steps that its rows stand for. Everything that is wrong with the form
(unknown names, two ops in a step, a row too short) is reported here, once, whether or not a block is used; such a step
is lost, and what depends on it stays silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING

from archspec.diagnostics import Note, Report, Span, did_you_mean, quote
from archspec.frontend.expr_parser import parse
from archspec.frontend.step import (
    CLAIMS,
    RESERVED,
    STRUCTURES,
    Argument,
    Body,
    Broken,
    Located,
    Parameter,
    Step,
    expr_span,
)
from archspec.frontend.tree import List, Map, Scalar, Tree, describe, is_null
from archspec.ir.expr import ExprError, names_in
from archspec.ops import OPS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

MAX_EXPRESSIONS = 500_000
"""Characters that all expressions of a spec may have together."""


class BodyReader:
    """Reads bodies; `globals` are the network's arguments, visible in every block."""

    def __init__(
        self,
        report: Report,
        parameters: Mapping[str, Mapping[str, Parameter] | None],
        globals: Set[str],
    ) -> None:
        self.report, self.parameters, self.globals = report, parameters, globals
        self.used: set[str] = set()
        self.read_names: set[str] = set()
        self.expressions = 0

    def body(self, tree: Tree | None, names: Set[str]) -> Body:
        """The steps of a list; `names` are the arguments that its expressions may read."""
        if tree is None or is_null(tree):
            return []
        if not isinstance(tree, List):
            help = "start each step with `- `, or write [relu, flatten]"
            self.report.error(
                "AS0204", tree.span, f"a body is a list of steps, found {describe(tree)}", help=help
            )
            return [lost(tree)]
        known = frozenset(names)
        return [step for item in tree.items for step in self.step(item, known)]

    def step(self, tree: Tree, names: frozenset[str]) -> Body:
        if isinstance(tree, Scalar) and isinstance(tree.value, str):
            return self.named(Step(tree.text, tree.span, tree.span), tree, None, names)
        if not isinstance(tree, Map):
            message = f"a step is an op's name or a mapping, found {describe(tree)}"
            self.report.error(
                "AS0204",
                tree.span,
                message,
                help="as in `- relu` or `- conv: {out: 64, kernel: 3}`",
            )
            return [lost(tree)]
        key = self.choose(tree)
        step = Step(key.text if key else "", key.span if key else tree.span, tree.span)
        self.reserve(step, {k.text: (k, v) for k, v in tree if k.text in RESERVED}, names)
        if key is None:
            step.lost = True
            return [step]
        return self.named(step, key, tree.get(key.text), names)

    def choose(self, tree: Map) -> Scalar | None:
        """The key that names the step's op; the others are typos or one op too many."""
        keys = [key for key, _ in tree if key.text not in RESERVED]
        known = [
            k for k in keys if k.text in OPS or k.text in self.parameters or k.text in STRUCTURES
        ]
        if len(keys) == 1:
            return keys[0]
        if len(known) == 1:
            for key in keys:
                if key is not known[0]:
                    inside = key.text in (self.fields(known[0].text) or ())
                    help = f"put it inside `{known[0].text[:40]}: {{...}}`" if inside else ""
                    help = help or did_you_mean(key.text, RESERVED, "keys of a step")
                    self.report.error(
                        "AS0202", key.span, f"unknown key {quote(key.text)} in a step", help=help
                    )
            return known[0]
        found = " and ".join(quote(k.text) for k in keys[:4]) or "none"
        span = keys[1].span if keys else tree.span
        help = "start a new step with `- `"
        self.report.error("AS0206", span, f"a step names one op or block, found {found}", help=help)
        return None

    def fields(self, what: str) -> Mapping[str, FieldInfo] | Mapping[str, Parameter] | None:
        """The arguments that an op or block knows; None where there is no telling."""
        return OPS[what].model_fields if what in OPS else self.parameters.get(what)

    def argument(self, key: Span, tree: Tree, names: Set[str]) -> Argument:
        """A value, its expressions parsed; what cannot be parsed is reported and reads as Broken."""
        if isinstance(tree, List):
            return Argument(
                key, tree, items=[self.argument(item.span, item, names) for item in tree.items]
            )
        if isinstance(tree, Map):
            return Argument(
                key, tree, items={k.text: self.argument(k.span, v, names) for k, v in tree}
            )
        if not isinstance(tree.value, str) or "$" not in tree.value:
            return Argument(key, tree, constant=tree.value)
        self.expressions += len(tree.text)
        if self.expressions > MAX_EXPRESSIONS:
            message = f"the expressions have more than {MAX_EXPRESSIONS:,} characters together"
            self.report.stop("AS0106", tree.span, message, help="use blocks and `repeat`")
        try:
            parsed = parse(tree.value, names)
        except ExprError as error:
            Located(error, expr_span(tree, error)).report(self.report)
            self.read_names |= names
            return Argument(key, tree, constant=Broken)
        if isinstance(parsed, str):
            return Argument(key, tree, constant=parsed)
        self.read_names |= names_in(parsed)
        return Argument(key, tree, expr=parsed)

    def reserve(
        self, step: Step, found: Mapping[str, tuple[Scalar, Tree]], names: Set[str]
    ) -> None:
        """The keys that every step may have."""
        for text, (key, value) in found.items():
            if is_null(value):
                continue
            if text not in CLAIMS:
                step.reserved[text] = self.argument(key.span, value, names)
            elif isinstance(value, Scalar):
                step.claims[text] = value
            else:
                message = f"the claim {quote(text)} is a figure, found {describe(value)}"
                self.report.error("AS0204", value.span, message)

    def named(self, step: Step, key: Scalar, value: Tree | None, names: frozenset[str]) -> Body:
        """The step of an op, block or structure; a table's are many."""
        what = step.what
        if what == "table":
            return self.table(step, value, names)
        if what in OPS or what in self.parameters:
            self.used.add(what)
        if what == "repeat":
            self.repeat(step, value, names)
        elif what not in OPS and what not in self.parameters:
            help = did_you_mean(what, [*self.parameters, *OPS, *STRUCTURES], "ops and blocks")
            self.report.error("AS0203", key.span, f"unknown op or block {quote(what)}", help=help)
            step.lost = True
        elif self.fields(what) is None:  # a block that could not be read
            step.lost = True
        elif what in OPS and OPS[what].variadic:
            self.merge(step, value, names)
        elif isinstance(value, Map):
            for name, argument in value:
                step.arguments[name.text] = self.argument(name.span, argument, names)
            self.check_names(step)
        elif value is not None and not is_null(value):
            message = f"the arguments of {quote(what)} are a mapping, found {describe(value)}"
            self.report.error(
                "AS0204", value.span, message, help=f"write `{what[:40]}: {{name: value}}`"
            )
            step.lost = True
        return [step]

    def check_names(self, step: Step, reported: Set[str] = frozenset()) -> None:
        """Every argument has to be one that the op or block knows; one that does not may be a needed one, misspelt."""
        known = self.fields(step.what)
        if known is None:
            return
        unknown = [name for name in step.arguments if name not in known]
        for name in unknown:
            argument = step.arguments.pop(name)
            if name in reported:
                continue
            help = did_you_mean(name, known, f"arguments of {step.what[:40]}")
            message = f"{quote(step.what)} has no argument {quote(name)}"
            if step.row:
                self.report.error(
                    "AS0209", argument.key, f"{message}, the column of this cell", help=help
                )
            else:
                self.report.error("AS0202", argument.key, message, help=help)
        step.lost = bool(unknown) and any(
            _needed(field) and name not in step.arguments for name, field in known.items()
        )

    def merge(self, step: Step, value: Tree | None, names: Set[str]) -> None:
        what, sources = quote(step.what), step.reserved.get("from")
        if value is None or is_null(value):
            if sources is None:
                help = "as in `add: {main: [...], skip: []}` or `{add: , from: [a, b]}`"
                message = f"{what} needs branches, or `from` with the steps that it joins"
                self.report.error("AS0311", step.span, message, help=help)
                step.lost = True
            return
        if not isinstance(value, Map):
            message = (
                f"the branches of {what} are a mapping of names to bodies, found {describe(value)}"
            )
            self.report.error("AS0204", value.span, message, help="as in `{main: [...], skip: []}`")
            step.lost = True
            return
        if sources is not None and isinstance(sources.tree, List):
            message = "a merge has branches or a list of steps under `from`, not both"
            self.report.error("AS0206", sources.key, message)
        step.branches = {key.text: (key.span, self.body(body, names)) for key, body in value}
        if len(step.branches) < 2:
            message = f"{what} joins two branches or more, found {len(step.branches)}"
            self.report.error(
                "AS0311", step.span, message, help="an empty branch, `skip: []`, is the identity"
            )
            step.lost = not step.branches

    def repeat(self, step: Step, value: Tree | None, names: frozenset[str]) -> None:
        step.lost = True
        if not isinstance(value, Map):
            message = f"`repeat` takes a mapping, found {describe(value)}"
            place = value.span if value is not None else step.span
            self.report.error(
                "AS0204", place, message, help="as in `repeat: {times: 3, as: i, body: [...]}`"
            )
            return
        for key, _ in value:
            if key.text not in ("times", "as", "body"):
                help = did_you_mean(key.text, ("times", "as", "body"))
                self.report.error(
                    "AS0202", key.span, f"unknown key {quote(key.text)} in `repeat`", help=help
                )
        counter, times, body = value.get("as"), value.get("times"), value.get("body")
        missing = [quote(key) for key in ("times", "body") if value.get(key) is None]
        if missing:
            self.report.error("AS0201", step.span, f"`repeat` has no {' and no '.join(missing)}")
        if counter is not None:
            if not (
                isinstance(counter, Scalar)
                and isinstance(counter.value, str)
                and counter.text.isidentifier()
            ):
                message = f"`as` is the counter's name, such as `i`, found {describe(counter)}"
                self.report.error("AS0204", counter.span, message)
                return
            if counter.text in names:
                message = f"{quote(counter.text)} is an argument already"
                self.report.error(
                    "AS0403", counter.span, message, help="choose another name for the counter"
                )
            step.arguments["as"] = Argument(counter.span, counter, constant=counter.text)
        if times is not None:
            step.arguments["times"] = self.argument(value.key("times").span, times, names)
        inner = names | {counter.text} if isinstance(counter, Scalar) else names
        step.body = self.body(body, inner)
        step.lost = times is None or body is None

    def table(self, step: Step, value: Tree | None, names: frozenset[str]) -> Body:
        """Rows as steps: `type` picks the op or block, the other columns are its arguments or a step's own keys."""
        for key, argument in step.reserved.items():
            message = f"a table takes no {quote(key)}: it is the steps that its rows stand for"
            self.report.error("AS0202", argument.key, message, help="write it at a row")
        columns, rows = (
            (value.get("columns"), value.get("rows")) if isinstance(value, Map) else (None, None)
        )
        for key, _ in value if isinstance(value, Map) else ():
            if key.text not in ("columns", "rows"):
                help = did_you_mean(key.text, ("columns", "rows"))
                self.report.error(
                    "AS0202", key.span, f"unknown key {quote(key.text)} in a table", help=help
                )
        step.lost = True
        if not isinstance(columns, List) or not isinstance(rows, List):
            self.report.error("AS0201", step.span, "a table has `columns` and `rows`, two lists")
            return [step]
        titles: dict[str, Scalar] = {}
        for title in columns.items:
            if not isinstance(title, Scalar) or title.value is None:
                self.report.error(
                    "AS0204", title.span, f"a column has a name, found {describe(title)}"
                )
                return [step]
            if title.text in titles:
                notes = [Note("first given", titles[title.text].span)]
                self.report.error(
                    "AS0403", title.span, f"two columns are called {quote(title.text)}", notes=notes
                )
                return [step]
            titles[title.text] = title
        if "type" not in titles:
            message = "a table needs a column `type`, which names the op or block of a row"
            self.report.error("AS0201", columns.span, message, help=did_you_mean("type", titles))
            return [step]
        known = self.known_titles(titles, rows)
        steps: Body = []
        for row in rows.items:
            steps.extend(
                self.row(row, known, columns, names)
                if isinstance(row, List)
                else self.step(row, names)
            )
        return steps

    def known_titles(self, titles: dict[str, Scalar], rows: List) -> dict[str, Scalar | None]:
        """The columns; None for one that no row could fill, which is reported once, here."""
        at = [*titles].index("type")
        cells = [
            row.items[at]
            for row in rows.items
            if isinstance(row, List) and len(row.items) == len(titles)
        ]
        fields = [
            self.fields(kind)
            for kind in {cell.text if isinstance(cell, Scalar) else "" for cell in cells}
        ]
        if not fields or None in fields:  # a type is at fault, and might know any column
            return {**titles}
        names = {*RESERVED, "type"}.union(*(field for field in fields if field is not None))
        for title in [title for name, title in titles.items() if name not in names]:
            message = f"no row's op or block has an argument {quote(title.text)}"
            self.report.error(
                "AS0209",
                title.span,
                message,
                help=did_you_mean(title.text, sorted(names), "columns"),
            )
        return {name: title if name in names else None for name, title in titles.items()}

    def row(
        self, row: List, titles: Mapping[str, Scalar | None], columns: List, names: frozenset[str]
    ) -> Body:
        cells = dict(zip(titles, row.items, strict=False))
        kind = cells.get("type")
        step = Step(
            kind.text if isinstance(kind, Scalar) else "",
            kind.span if kind else row.span,
            row.span,
            row=True,
        )
        if len(row.items) != len(titles):
            message = f"the row has {len(row.items)} cells, the table {len(titles)} columns"
            short = len(row.items) < len(titles)
            help = (
                "write `~` for a cell that is not given"
                if short
                else "remove a cell, or name its column"
            )
            self.report.error(
                "AS0208", row.span, message, notes=[Note("columns", columns.span)], help=help
            )
            step.what, step.lost = "", True
            cells = {"name": cells["name"]} if "name" in cells else {}
        own = {
            name: (title, cells[name])
            for name, title in titles.items()
            if title and name in RESERVED and name in cells
        }
        self.reserve(step, own, names)
        if step.lost:
            return [step]
        if not isinstance(kind, Scalar) or kind.value is None or kind.text in STRUCTURES:
            message = f"the cell `type` names an op or block, found {describe(kind)}"
            self.report.error(
                "AS0203",
                step.span,
                message,
                help="a step of another form may stand between the rows",
            )
            step.lost = True
            return [step]
        self.named(step, kind, None, names)
        if not step.lost:
            for name, cell in cells.items():
                if name not in ("type", *RESERVED) and not is_null(cell):
                    step.arguments[name] = self.argument(cell.span, cell, names)
            self.check_names(step, {name for name, title in titles.items() if title is None})
        return [step]


def _needed(field: FieldInfo | Parameter) -> bool:
    return field.default is None if isinstance(field, Parameter) else field.is_required()


def lost(tree: Tree) -> Step:
    """A step of which nothing can be said."""
    return Step("", tree.span, tree.span, lost=True)
