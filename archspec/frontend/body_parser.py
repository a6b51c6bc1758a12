"""Bodies of blocks and of the network, from the located tree to typed steps.

A body is a list of steps; a table becomes the steps that its rows stand for. Every malformed step
(unknown names, two ops in a step, a row too short) is reported here, once, whether or not its
block is used. Such a step is invalid, and nothing more is reported of what depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING

from archspec.diagnostics import Note, Report, quote
from archspec.frontend.argument_parser import ArgumentParser
from archspec.frontend.step import Argument, Body, Parameter, Step
from archspec.frontend.step_keys import (
    CLAIM_KEYS,
    REPEAT_KEYS,
    RESERVED_KEYS,
    STRUCTURES,
    check_keys,
)
from archspec.frontend.table import StepTable, read_table
from archspec.frontend.tree import Tree, YamlList, YamlMap, YamlScalar, describe_tree, is_null
from archspec.ir.synonyms import advice, suggest, suggest_argument, suggest_op
from archspec.ops import OPS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class BodyParser(ArgumentParser):
    """Parses bodies; `parameters` are the blocks' arguments, None for a block that is unreadable.

    `used` collects the ops and blocks that the steps name.
    """

    def __init__(
        self,
        report: Report,
        parameters: Mapping[str, Mapping[str, Parameter] | None],
        globals: Set[str],
    ) -> None:
        super().__init__(report, globals)
        self.parameters = parameters
        self.used: set[str] = set()

    def body(self, tree: Tree | None, names: Set[str]) -> Body:
        """Return the steps of a list; `names` are the arguments that its expressions may read."""
        if tree is None or is_null(tree):
            return []
        if not isinstance(tree, YamlList):
            message = f"a body is a list of steps, found {describe_tree(tree)}"
            help = "start each step with `- `, or write [relu, flatten]"
            self.report.error("AS0204", tree.span, message, help=help)
            return [invalid_step(tree)]
        names = frozenset(names)
        return [step for item in tree.items for step in self.step(item, names)]

    def step(self, tree: Tree, names: frozenset[str]) -> Body:
        """Return the step of an item; a table gives several."""
        if isinstance(tree, YamlScalar) and isinstance(tree.value, str):
            return self.operation(Step(tree.text, tree.span, tree.span), tree, None, names)
        if not isinstance(tree, YamlMap):
            message = f"a step is an op's name or a mapping, found {describe_tree(tree)}"
            help = "as in `- relu` or `- conv: {out: 64, kernel: 3}`"
            self.report.error("AS0204", tree.span, message, help=help)
            return [invalid_step(tree)]
        key = self.operation_key(tree)
        step = Step(key.text if key else "", key.span if key else tree.span, tree.span)
        reserved = {k.text: (k, value) for k, value in tree if k.text in RESERVED_KEYS}
        self.read_reserved(step, reserved, names)
        if key is None:
            step.invalid = True
            return [step]
        return self.operation(step, key, tree.get(key.text), names)

    def operation_key(self, tree: YamlMap) -> YamlScalar | None:
        """Return the key that names a step's op; report the others, typos or one op too many."""
        keys = [key for key, _ in tree if key.text not in RESERVED_KEYS]
        if len(keys) == 1:
            return keys[0]
        operations = [key for key in keys if self.is_operation(key.text)]
        if len(operations) == 1:
            for key in keys:
                if key is not operations[0]:
                    self.report_stray_key(key, operations[0].text)
            return operations[0]
        stated = " and ".join(quote(key.text) for key in keys[:4]) or "none"
        span = keys[1].span if keys else tree.span
        help = "start a new step with `- `"
        self.report.error(
            "AS0206", span, f"a step names one op or block, found {stated}", help=help
        )
        return None

    def is_operation(self, name: str) -> bool:
        return name in OPS or name in self.parameters or name in STRUCTURES

    def report_stray_key(self, key: YamlScalar, kind: str) -> None:
        """Report a key that stands beside a step's op, and perhaps belongs inside it."""
        help = advice(key.text) or suggest(key.text, RESERVED_KEYS, "keys of a step")
        if key.text in (self.fields(kind) or ()):
            help = f"put it inside `{kind[:40]}: {{...}}`"
        message = f"unknown key {quote(key.text)} in a step"
        self.report.error("AS0202", key.span, message, help=help)

    def fields(self, kind: str) -> Mapping[str, FieldInfo] | Mapping[str, Parameter] | None:
        """Return the arguments of an op or block; None where they are unknown."""
        return OPS[kind].model_fields if kind in OPS else self.parameters.get(kind)

    def read_reserved(
        self, step: Step, entries: Mapping[str, tuple[YamlScalar, Tree]], names: Set[str]
    ) -> None:
        """Read the keys that any step may have."""
        for name, (key, value) in entries.items():
            if is_null(value):
                continue
            if name not in CLAIM_KEYS:
                step.reserved[name] = self.argument(key.span, value, names)
            elif isinstance(value, YamlScalar):
                step.claims[name] = value
            else:
                message = f"the claim {quote(name)} is a figure, found {describe_tree(value)}"
                self.report.error("AS0204", value.span, message)

    # Ops, blocks and structures

    def operation(
        self, step: Step, key: YamlScalar, value: Tree | None, names: frozenset[str]
    ) -> Body:
        """Return the step with its op, block or structure read; a table gives several steps."""
        kind = step.kind
        if kind == "table":
            return self.table(step, value, names)
        if kind == "repeat":
            self.read_repeat(step, value, names)
            return [step]
        if kind not in OPS and kind not in self.parameters:
            help = suggest_op(kind, OPS, self.parameters, STRUCTURES)
            self.report.error("AS0203", key.span, f"unknown op or block {quote(kind)}", help=help)
            step.invalid = True
            return [step]
        self.used.add(kind)
        if self.fields(kind) is None:
            step.invalid = True
        elif kind in OPS and OPS[kind].variadic:
            self.read_merge(step, value, names)
        else:
            self.read_arguments(step, value, names)
        return [step]

    def read_arguments(self, step: Step, value: Tree | None, names: Set[str]) -> None:
        """Read the arguments of an op or block."""
        if isinstance(value, YamlMap):
            for name, argument in value:
                step.arguments[name.text] = self.argument(name.span, argument, names)
            self.check_arguments(step)
        elif not is_null(value):
            description = describe_tree(value)
            message = f"the arguments of {quote(step.kind)} are a mapping, found {description}"
            assert value is not None
            help = f"write `{step.kind[:40]}: {{{self.example(step.kind, value)}}}`"
            self.report.error("AS0204", value.span, message, help=help)
            step.invalid = True

    def example(self, kind: str, value: Tree) -> str:
        """Return how a bare value is written as an op's argument: under its one required name."""
        fields = self.fields(kind) or {}
        required = [name for name, field in fields.items() if _is_required(field)]
        # The only argument of an op that requires none is meant too.
        name = next(iter(required or fields), "name") if len(required or fields) == 1 else "name"
        if name == "name" or not isinstance(value, YamlScalar):
            return "name: value"
        return f"{name}: {value.text[:40]}"

    def check_arguments(self, step: Step, reported: Set[str] = frozenset()) -> None:
        """Drop and report the arguments that the op or block does not have.

        The step is invalid if a required one is missing as well: that may be the same, misspelt.
        """
        fields = self.fields(step.kind)
        if fields is None:
            return
        unknown = [name for name in step.arguments if name not in fields]
        for name in unknown:
            argument = step.arguments.pop(name)
            if name not in reported:
                self.report_unknown_argument(step, name, argument, fields)
        step.invalid = bool(unknown) and any(
            _is_required(field) and name not in step.arguments for name, field in fields.items()
        )

    def report_unknown_argument(
        self, step: Step, name: str, argument: Argument, fields: Mapping[str, object]
    ) -> None:
        code = "AS0202"
        message = f"{quote(step.kind)} has no argument {quote(name)}"
        if step.is_row:
            code = "AS0209"
            message += ", the column of this cell"
        help = suggest_argument(name, fields, step.kind)
        if name in RESERVED_KEYS and not step.is_row:
            help = f"put it beside {quote(step.kind)}, as a key of the step"
        self.report.error(code, argument.key_span, message, help=help)

    def read_merge(self, step: Step, value: Tree | None, names: Set[str]) -> None:
        """Read the branches of a merge; it has none where `from` names the values to join."""
        kind = quote(step.kind)
        sources = step.reserved.get("from")
        if value is None or is_null(value):
            if sources is None:
                message = f"{kind} needs branches, or `from` with the steps that it joins"
                help = "as in `add: {main: [...], skip: []}` or `{add: , from: [a, b]}`"
                self.report.error("AS0311", step.span, message, help=help)
                step.invalid = True
            return
        if not isinstance(value, YamlMap):
            message = f"the branches of {kind} map names to bodies, found {describe_tree(value)}"
            help = "as in `{main: [...], skip: []}`"
            self.report.error("AS0204", value.span, message, help=help)
            step.invalid = True
            return
        if sources is not None and isinstance(sources.tree, YamlList):
            message = "a merge has branches or a list of steps under `from`, not both"
            self.report.error("AS0206", sources.key_span, message)
        step.branches = {key.text: (key.span, self.body(body, names)) for key, body in value}
        if len(step.branches) < 2:
            message = f"{kind} joins two branches or more, found {len(step.branches)}"
            help = "an empty branch, `skip: []`, is the identity"
            self.report.error("AS0311", step.span, message, help=help)
            step.invalid = not step.branches

    def read_repeat(self, step: Step, value: Tree | None, names: frozenset[str]) -> None:
        """Read a repeat: its count, its counter and its body."""
        step.invalid = True
        if not isinstance(value, YamlMap):
            message = f"`repeat` takes a mapping, found {describe_tree(value)}"
            span = step.span if value is None else value.span
            help = "as in `repeat: {times: 3, as: i, body: [...]}`"
            self.report.error("AS0204", span, message, help=help)
            return
        check_keys(value, (key.name for key in REPEAT_KEYS), self.report, " in `repeat`")
        required = [key.name for key in REPEAT_KEYS if key.required]
        missing = [quote(name) for name in required if value.get(name) is None]
        if missing:
            message = f"`repeat` has no {' and no '.join(missing)}"
            self.report.error("AS0201", step.span, message)
        counter = value.get("as")
        if counter is not None:
            name = self.read_counter(counter, names)
            if name is None:
                return
            step.arguments["as"] = Argument(counter.span, counter, constant=name)
        times = value.get("times")
        if times is not None:
            step.arguments["times"] = self.argument(value.key("times").span, times, names)
        inner = names if counter is None else names | {step.arguments["as"].constant}
        step.body = self.body(value.get("body"), inner)
        step.invalid = bool(missing)

    def read_counter(self, tree: Tree, names: frozenset[str]) -> str | None:
        """Return the name of a repeat's counter; None where it cannot be one, which is reported."""
        if (
            not isinstance(tree, YamlScalar)
            or not isinstance(tree.value, str)
            or not tree.text.isidentifier()
        ):
            message = f"`as` is the counter's name, such as `i`, found {describe_tree(tree)}"
            self.report.error("AS0204", tree.span, message)
            return None
        if tree.text in names:
            message = f"{quote(tree.text)} is an argument already"
            help = "choose another name for the counter"
            self.report.error("AS0403", tree.span, message, help=help)
        return tree.text

    # Tables

    def table(self, step: Step, value: Tree | None, names: frozenset[str]) -> Body:
        """Return the steps of a table's rows.

        `type` names the op or block; the other columns are its arguments or keys of the step.
        """
        table = read_table(step, value, self.fields, self.report)
        if table is None:
            step.invalid = True
            return [step]
        steps: Body = []
        for row in table.rows:
            if isinstance(row, YamlList):
                steps.append(self.row(row, table, names))
            else:
                steps.extend(self.step(row, names))
        return steps

    def row(self, row: YamlList, table: StepTable, names: frozenset[str]) -> Step:
        """Return the step of a row of cells."""
        cells = table.cells(row)
        kind = cells.get("type")
        kind_name = kind.text if isinstance(kind, YamlScalar) else ""
        step = Step(kind_name, kind.span if kind else row.span, row.span, is_row=True)
        if len(row.items) != len(table.titles):
            self.report_cell_count(row, table)
            step.kind = ""
            step.invalid = True
            # The cells may be shifted, but the name is likely right: later steps may read it.
            cells = {name: cell for name, cell in cells.items() if name == "name"}
        reserved = {
            name: (title, cells[name])
            for name, title in table.titles.items()
            if title and name in RESERVED_KEYS and name in cells
        }
        self.read_reserved(step, reserved, names)
        if step.invalid:
            return step
        if not isinstance(kind, YamlScalar) or kind.value is None or kind.text in STRUCTURES:
            message = f"the cell `type` names an op or block, found {describe_tree(kind)}"
            help = "a step that is not a row may stand between the rows"
            self.report.error("AS0203", step.span, message, help=help)
            step.invalid = True
            return step
        self.operation(step, kind, None, names)
        if not step.invalid:
            for name, cell in cells.items():
                if name not in ("type", *RESERVED_KEYS) and not is_null(cell):
                    step.arguments[name] = self.argument(cell.span, cell, names)
            self.check_arguments(step, table.unknown)
        return step

    def report_cell_count(self, row: YamlList, table: StepTable) -> None:
        message = f"the row has {len(row.items)} cells, the table {len(table.titles)} columns"
        help = "remove a cell, or name its column"
        if len(row.items) < len(table.titles):
            help = "write `~` for a cell that is not given"
        notes = [Note("columns", table.columns.span)]
        self.report.error("AS0208", row.span, message, notes=notes, help=help)


def invalid_step(tree: Tree) -> Step:
    """Return a step of which nothing is known."""
    return Step("", tree.span, tree.span, invalid=True)


def _is_required(field: FieldInfo | Parameter) -> bool:
    if isinstance(field, Parameter):
        return field.default is None
    return field.is_required()
