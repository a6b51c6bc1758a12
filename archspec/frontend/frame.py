"""Where elaboration stands: the scope, the values of arguments, the names in sight, the block instances around it."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archspec.diagnostics import Note, Report, Span
from archspec.frontend.step import Argument, Broken, Located, Parameter, Step
from archspec.ir.graph import Scope

Value = int | None
"""The index of a node; None where a step failed and the value is unknown."""


@dataclass(slots=True, eq=False)
class Frame:
    """Where elaboration stands: a scope, the arguments' values, the names that `from` can reach."""

    report: Report
    scope: Scope
    env: dict[str, Any]
    entry: Value
    names: ChainMap[str, Value] = field(default_factory=ChainMap[str, Value])
    taken: dict[str, Span] = field(default_factory=dict[str, Span])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    parameters: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])
    call: Step | None = None
    caller: Frame | None = None
    depth: int = 0
    length: int = 0
    """Of the scope's path."""

    def inner(self, scope: Scope, entry: Value) -> Frame:
        """A branch or an iteration: names of its own, and all of this frame's in sight."""
        return Frame(
            self.report,
            scope,
            self.env,
            entry,
            self.names.new_child(),
            parameters=self.parameters,
            call=self.call,
            caller=self.caller,
            depth=self.depth + 1,
            length=self.length + len(scope.name) + 1,
        )

    def stack(self) -> tuple[Note, ...]:
        """The block instances and iterations around it, the innermost first."""
        notes: list[Note] = []
        for scope in self.scope.chain():
            if scope.block:
                notes.append(
                    Note(f"in block {scope.block}, instantiated as {scope.path}", scope.span)
                )
            elif (
                (whole := scope.parent)
                and scope.kind == whole.kind == "repeat"
                and scope.span is whole.span
            ):
                notes.append(Note(f"in iteration {scope.name} of {whole.path}", scope.span))
        return tuple(notes[:6])

    def fail(
        self,
        code: str,
        span: Span,
        message: str,
        help: str = "",
        notes: tuple[Note, ...] = (),
        found: str = "",
    ) -> None:
        """Reports an error with the block instances around it."""
        self.report.stack = self.stack()
        self.report.error(code, span, message, help=help, notes=notes, found=found)
        self.report.stack = ()

    def evaluate(self, argument: Argument) -> Any:
        """An argument's value; Broken, with the error reported, where it has none."""
        try:
            return argument.value(self.env)
        except Located as failure:
            # Without `in` the value that enters is unknown, and why has been said.
            if "in" in self.env or "in" not in argument.reads():
                error = failure.error
                self.fail(error.code, failure.span, error.message, error.help)
            return Broken

    def origin(self, argument: Argument) -> Argument:
        """Where a value was first written: follows `$name` out of the blocks to the cell, key or default."""
        frame = self
        while argument.expr is not None and frame.call is not None and frame.caller is not None:
            names = argument.reads()
            name = next(iter(names)) if len(names) == 1 else ""
            if (given := frame.call.arguments.get(name)) is not None:
                argument, frame = given, frame.caller
            elif (
                name in frame.parameters and (default := frame.parameters[name].default) is not None
            ):
                return default
            else:
                break
        return argument
