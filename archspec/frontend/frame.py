"""The state of elaboration inside one body: its scope, argument values and step names.

Frames form a stack, like a call stack: one for the network, and one more for each block instance,
branch and iteration around the current step.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archspec.diagnostics import Note, Report, Span, quote
from archspec.frontend.address import default_name
from archspec.frontend.step import POISON, Argument, LocatedError, Parameter, Step
from archspec.ir.expr import describe
from archspec.ir.graph import Scope

MAX_NESTING = 100
MAX_NOTES = 6

Value = int | None
"""The index of a node; None where a step failed and the value is unknown."""


@dataclass(slots=True, eq=False)
class Frame:
    """A scope, the values of the arguments, and the step names that `from` can reach.

    `declared` holds the names of this body and where each was declared. `call` is the step that
    instantiates the block around it, and `caller` that step's frame. `influence` says of each name
    of `env` which arguments of the network its value depends on.
    """

    report: Report
    scope: Scope
    env: dict[str, Any]
    entry: Value
    names: ChainMap[str, Value] = field(default_factory=ChainMap[str, Value])
    declared: dict[str, Span] = field(default_factory=dict[str, Span])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    parameters: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])
    call: Step | None = None
    caller: Frame | None = None
    depth: int = 0
    path_length: int = 0
    """The characters of the scope's path."""
    influence: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def child(self, scope: Scope, entry: Value) -> Frame:
        """Return the frame of a branch or an iteration, which can read all names of this one."""
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
            path_length=self.path_length + len(scope.name) + 1,
            influence=self.influence,
        )

    def block_frame(
        self,
        scope: Scope,
        entry: Value,
        env: dict[str, Any],
        influence: dict[str, frozenset[str]],
        parameters: Mapping[str, Parameter],
        call: Step,
    ) -> Frame:
        """Return the frame of a block's body, which sees its own arguments and no step outside."""
        inside = self.child(scope, entry)
        inside.env = env
        inside.influence = influence
        inside.names = ChainMap({"input": entry})
        inside.parameters = parameters
        inside.call = call
        inside.caller = self
        return inside

    def can_nest(self, step: Step) -> bool:
        """Return True if one more body may be nested here; report it if not."""
        if self.depth < MAX_NESTING:
            return True
        message = f"blocks, branches and repeats are nested more than {MAX_NESTING} deep"
        self.fail("AS0702", step.span, message, "use steps that follow each other")
        return False

    # Errors

    def call_stack(self) -> tuple[Note, ...]:
        """Return notes on the block instances and iterations around it, innermost first."""
        notes: list[Note] = []
        for scope in self.scope.chain():
            if scope.block:
                message = f"in block {scope.block}, instantiated as {scope.path}"
                notes.append(Note(message, scope.span))
            elif (parent := scope.parent) and _is_iteration(scope, parent):
                message = f"in iteration {scope.name} of {parent.path}"
                notes.append(Note(message, scope.span))
        return tuple(notes[:MAX_NOTES])

    def fail(
        self,
        code: str,
        span: Span,
        message: str,
        help: str = "",
        notes: tuple[Note, ...] = (),
        label: str = "",
    ) -> None:
        """Report an error together with the block instances around it."""
        self.report.stack = self.call_stack()
        self.report.error(code, span, message, help=help, notes=notes, label=label)
        self.report.stack = ()

    # Values

    def evaluate(self, argument: Argument) -> Any:
        """Return an argument's value, or POISON with the error reported."""
        try:
            return argument.evaluate(self.env)
        except LocatedError as failure:
            # Without `in` the step before failed, and an argument may have: that is reported.
            names = argument.names_read()
            is_known = all(self.env.get(name) is not POISON for name in names)
            if is_known and ("in" in self.env or "in" not in names):
                error = failure.error
                self.fail(error.code, failure.span, error.message, error.help)
            return POISON

    def origin(self, argument: Argument) -> Argument:
        """Return where a value was first written.

        Follows `$name` out of the blocks to the cell, key or default that it comes from.
        """
        frame = self
        while argument.expr is not None and frame.call is not None and frame.caller is not None:
            names = argument.names_read()
            name = next(iter(names)) if len(names) == 1 else ""
            passed = frame.call.arguments.get(name)
            if passed is not None:
                argument, frame = passed, frame.caller
                continue
            parameter = frame.parameters.get(name)
            if parameter is not None and parameter.default is not None:
                return parameter.default
            break
        return argument

    # Names of steps

    def declare(self, name: str, span: Span) -> None:
        """Add a name to this body; report it if the body already has it."""
        if (first := self.declared.get(name)) is not None:
            message = f"the name {quote(name)} is used twice here"
            notes = (Note("first used", first),)
            self.fail("AS0403", span, message, "give one of them another `name`", notes)
        self.declared.setdefault(name, span)

    def number(self, step: Step) -> str:
        """Return the next default name of an unnamed step: `relu`, then `relu_2`."""
        return default_name(step.kind or "step", self.counts, self.declared)

    def stated_name(self, step: Step) -> str:
        """Return the name that a step states, or a default one if that is not a valid name."""
        argument = step.reserved["name"]
        value = self.evaluate(argument)
        if value is POISON:
            return self.number(step)
        if not _is_name(value):
            message = f"a name is a text without dots, found {describe(value)}"
            self.fail("AS0210", argument.span, message)
        elif str(value) == "input":
            message = "`input` is the network's input: a step needs another name"
            self.fail("AS0210", argument.span, message)
        else:
            return str(value)
        return self.number(step)


def _is_iteration(scope: Scope, parent: Scope) -> bool:
    # A repeat is a scope, and so is each of its iterations, with the same span.
    return scope.kind == parent.kind == "repeat" and scope.span is parent.span


def _is_name(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    name = str(value)
    return bool(name.strip()) and "." not in name
