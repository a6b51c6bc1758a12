"""The body of a function in the functional style: a call a line, each applied to what it reads.

For dialects that emit a function for each block. A value that only the next call reads is `x`; any
other is named after the call that computes it. The layers of a branch share the branch's name, and
the alike iterations of a repeat are a loop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from archspec.codegen.call_location import CallLocation
from archspec.codegen.lowering import Merge
from archspec.codegen.module_tree import (
    EmittedClass,
    Instance,
    LayerCall,
    LoopSegment,
    MergeCall,
    ModuleList,
    Sequential,
    TreeNode,
)
from archspec.codegen.names import Namespace
from archspec.codegen.printer import Call, Code, List, Starred, statement
from archspec.codegen.schedule import input_names, ordered_calls
from archspec.codegen.table import Assignment, assignment, format_assignments

Statement = Assignment | list[str]
"""An assignment, which may become a row of a table, or the lines of a loop."""

INDENT = 4


class CallStyle(Protocol):
    """The code of one framework's calls, given constructor calls and the values they apply to."""

    def block_call(self, location: CallLocation, call: Call, operands: Sequence[str]) -> Call:
        """Return the call of a block's function; the operands are its first arguments."""
        ...

    def layer_call(self, location: CallLocation, call: Call, operand: str, is_last: bool) -> Code:
        """Return the call of a layer.

        A node can become several layers one after the other; `is_last` is true for the last.
        """
        ...

    def merge_call(self, location: CallLocation, merge: Merge, operands: Sequence[str]) -> Code:
        """Return the code that merges several values into one."""
        ...


class FunctionBody:
    """The statements of one function.

    `taken` are names that no value may have. The network's own function has a `network_input`, the
    name of the value that it starts from, and lays the rows of tables out as tables. The calls
    behind its `train_only` outputs come last, after the first `eval_count`.
    """

    def __init__(
        self,
        cls: EmittedClass,
        style: CallStyle,
        taken: Collection[str],
        *,
        network_input: str = "",
        train_only: Collection[int] = (),
    ) -> None:
        self.cls = cls
        self.style = style
        self.is_network = bool(network_input)
        self.inputs = [network_input] if network_input else input_names(cls.example)
        self.calls, self.eval_count = ordered_calls(cls.example, train_only)
        self.constructors = dict(_constructors(cls))
        self.call_names = dict(_call_names(cls.example))
        self.value_names = dict(zip(cls.example.inputs, self.inputs, strict=True))
        parameters = (parameter.name for parameter in cls.params)
        self.namespace = Namespace("x", *self.inputs, *taken, *parameters)
        # By value, the numbers of the calls that read it; returning counts as one more call.
        self.readers: dict[int, set[int]] = {
            value: {len(self.calls)} for value in cls.example.outputs
        }
        for number, call in enumerate(self.calls):
            for value in call.operands:
                self.readers.setdefault(value, set()).add(number)

    def lines_with_return(self, indent: int = INDENT) -> list[str]:
        """Return the lines of all statements and of the return."""
        statements = self._statements(0, len(self.calls), indent)
        outputs = self.cls.example.outputs
        last = statements[-1] if statements else []
        if isinstance(last, Assignment) and self.calls[-1].outputs == outputs:
            returned = statement("return ", last.code, indent)
            return [*_format(statements[:-1], indent), *returned]
        values = ", ".join(self.value_names[value] for value in outputs)
        return [*_format(statements, indent), f"{' ' * indent}return {values}"]

    def lines(self, start: int, stop: int, indent: int = INDENT) -> list[str]:
        """Return the lines of the calls from `start` to `stop`, to be asked for in order."""
        return _format(self._statements(start, stop, indent), indent)

    def value_name(self, value: int) -> str:
        """Return the name of a value whose statement is written."""
        return self.value_names[value]

    def _statements(self, start: int, stop: int, indent: int) -> list[Statement]:
        statements: list[Statement] = []
        for number in range(start, stop):
            call = self.calls[number]
            operands = [self.value_names[value] for value in call.operands]
            writer = _CallWriter(self, ", ".join(self._targets(number)))
            statements += writer.statements(call, self.constructors[call], operands, indent, {})
        return statements

    def _targets(self, number: int) -> list[str]:
        """Name the values that a call computes: `x` if that will do, `_` if nothing reads one."""
        call = self.calls[number]
        in_use = {
            name
            for value, name in self.value_names.items()
            if max(self.readers.get(value, {-1})) > number
        }
        targets: list[str] = []
        for value in call.outputs:
            if value not in self.readers:
                targets.append("_")
            elif "x" not in in_use and "x" not in targets and self._has_one_reader(value):
                targets.append("x")
            else:
                name = self.cls.dialect.identifier(self.call_names[call])
                targets.append(self.namespace.unique(name))
        self.value_names = {
            value: name for value, name in self.value_names.items() if name not in targets
        }
        self.value_names.update(zip(call.outputs, targets, strict=True))
        return targets

    def _has_one_reader(self, value: int) -> bool:
        """Return whether a single call reads the value, and no other value with it.

        Two values that meet in a merge both have names.
        """
        readers = self.readers[value]
        calls = [self.calls[number] for number in readers if number < len(self.calls)]
        return len(readers) == 1 and all(len(call.operands) == 1 for call in calls)


class _CallWriter:
    """The statements of one call of a function, all of which assign to `target`."""

    def __init__(self, body: FunctionBody, target: str) -> None:
        self.body = body
        self.target = target

    def statements(
        self,
        call: TreeNode,
        code: Code,
        operands: Sequence[str],
        indent: int,
        counters: dict[int, str],
    ) -> list[Statement]:
        style, target = self.body.style, self.target
        function_scope = self.body.cls.scope
        match call:
            case Sequential(numbered=True):
                return self._repeat(call, code, operands[0], indent, counters)
            case Sequential():
                return self._sequence(call, code, operands, indent, counters)
            case Instance():
                assert isinstance(code, Call)
                location = CallLocation(call.scope, function_scope, counters)
                made = style.block_call(location, code, operands)
                if self.body.is_network:
                    return [assignment(call, target, made, len(operands))]
                return [Assignment(target, made)]
            case LayerCall():
                location = CallLocation(call.node, function_scope, counters)
                return self._layers(location, code, operands[0])
            case MergeCall():
                location = CallLocation(call.node, function_scope, counters)
                return [Assignment(target, style.merge_call(location, call.merge, operands))]
            case _:
                raise TypeError(call)

    def _sequence(
        self,
        sequence: Sequential,
        code: Code,
        operands: Sequence[str],
        indent: int,
        counters: dict[int, str],
    ) -> list[Statement]:
        statements: list[Statement] = []
        for child, child_code in zip(sequence.children, _items(code), strict=True):
            statements += self.statements(child, child_code, operands, indent, counters)
            operands = [self.target]
        return statements

    def _layers(self, location: CallLocation, code: Code, operand: str) -> list[Statement]:
        statements: list[Statement] = []
        calls = _items(code) if isinstance(code, List) else (code,)
        for number, call in enumerate(calls, 1):
            assert isinstance(call, Call)
            is_last = number == len(calls)
            made = self.body.style.layer_call(location, call, operand, is_last)
            statements.append(Assignment(self.target, made))
            operand = self.target
        return statements

    def _repeat(
        self,
        repeat: Sequential,
        code: Code,
        operand: str,
        indent: int,
        counters: dict[int, str],
    ) -> list[Statement]:
        """Return iterations one after the other, those that are alike as a loop."""
        statements: list[Statement] = []
        # An iteration's number comes in paths right after the repeat's own path.
        place = sum(scope.parent is not None for scope in repeat.scope.chain())
        for segment, segment_code in zip(repeat.segments, _items(code), strict=True):
            if isinstance(segment_code, Starred):
                counter = {place: _counter(segment, segment_code)}
                lines = self._loop(segment, segment_code, operand, indent, {**counters, **counter})
                statements.append(lines)
            else:
                iteration = segment.iterations[0]
                statements += self.statements(iteration, segment_code, [operand], indent, counters)
            operand = self.target
        return statements

    def _loop(
        self,
        segment: LoopSegment,
        code: Starred,
        operand: str,
        indent: int,
        counters: dict[int, str],
    ) -> list[str]:
        pad = " " * indent
        inner_indent = indent + INDENT
        lines = [] if operand == self.target else [f"{pad}{self.target} = {operand}"]
        lines.append(f"{pad}for {code.counter} in {code.iterable}:")
        iteration = segment.iterations[0]
        for item in self.statements(iteration, code.element, [self.target], inner_indent, counters):
            lines += item.as_statement(inner_indent) if isinstance(item, Assignment) else item
        return lines


def _counter(segment: LoopSegment, code: Starred) -> str:
    """Return the code of an iteration's number in a loop, as it stands in an f-string."""
    shift = int(segment.iterations[0].path_parts[0]) - segment.start
    return f"{{{code.counter} + {shift}}}" if shift else f"{{{code.counter}}}"


def _constructors(cls: EmittedClass) -> Iterator[tuple[TreeNode, Code]]:
    """Iterate over the calls and their constructor calls; a merge has none."""
    for child in cls.example.children:
        if isinstance(child, ModuleList):
            yield from zip(child.children, _items(cls.constructors[child]), strict=True)
        else:
            yield child, cls.constructors.get(child, "")


def _call_names(instance: Instance) -> Iterator[tuple[TreeNode, str]]:
    """Iterate over the calls and the names of what they compute."""
    for child in instance.children:
        if isinstance(child, ModuleList):
            for iteration in child.children:
                yield iteration, f"{child.attr} {iteration.name}"
        else:
            yield child, child.name


def _format(statements: Sequence[Statement], indent: int) -> list[str]:
    """Return statements as lines; assignments that follow one another can be a table."""
    lines: list[str] = []
    pending: list[Assignment] = []
    for item in statements:
        if isinstance(item, Assignment):
            pending.append(item)
        else:
            lines += [*format_assignments(pending, indent), *item]
            pending = []
    return [*lines, *format_assignments(pending, indent)]


def _items(code: Code) -> tuple[Code, ...]:
    assert isinstance(code, List)
    return code.items
