"""The statements of a function: a layer a line, each applied to the values that it reads.

A value that goes on is called `x`; one that is read again has the name of what computes it. The layers of a branch
share its name; the iterations of a repeat are a loop.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from archspec.codegen.module_tree import (
    EmittedClass,
    Instance,
    LayerCall,
    MergeCall,
    ModuleList,
    Sequential,
    TreeNode,
)
from archspec.codegen.names import Namespace
from archspec.codegen.printer import Call, CallResult, Code, List, Starred, statement
from archspec.codegen.schedule import input_names, ordered_calls
from archspec.codegen.table import Assignment, assignment, format_assignments
from archspec_keras.paths import SEPARATOR, Paths

_SUFFIXES = {"layers.ZeroPadding": "pad", "layers.Permute": "permute", "layers.Reshape": "reshape"}


class Body:
    """The statements of one function.

    The network itself (`whole`) reads `inputs` and lays tables out; its `late` outputs, those of heads that train mode
    alone has, come after all that the others need. `taken` are names that no value may have.
    """

    def __init__(
        self,
        cls: EmittedClass,
        paths: Paths,
        taken: Collection[str],
        *,
        whole: bool = False,
        late: Collection[int] = (),
    ) -> None:
        self.cls, self.paths, self.rows = cls, paths, whole
        self.codes: dict[TreeNode, Code] = {}
        self.places: dict[TreeNode, str] = {}
        for part in cls.example.children:
            inner = part.children if isinstance(part, ModuleList) else [part]
            codes: Sequence[Code] = (
                _items(cls.constructors[part])
                if isinstance(part, ModuleList)
                else [cls.constructors.get(part, "")]
            )
            for each, code in zip(inner, codes, strict=True):
                self.codes[each] = code
                self.places[each] = (
                    f"{part.attr} {each.name}" if isinstance(part, ModuleList) else each.name
                )
        self.inputs = ["inputs"] if whole else input_names(cls.example)
        self.steps, self.early = ordered_calls(cls.example, late)
        self.names = dict(zip(cls.example.inputs, self.inputs, strict=True))
        self.space = Namespace(
            "x", "name", *self.inputs, *taken, *(param.name for param in cls.params)
        )
        self.readers: dict[int, set[int]] = {
            value: {len(self.steps)} for value in cls.example.outputs
        }
        for number, part in enumerate(self.steps):
            for value in part.operands:
                self.readers.setdefault(value, set()).add(number)

    def returned(self, indent: int) -> list[str]:
        """All statements and the return."""
        found = self._statements(0, len(self.steps), indent)
        outputs, last = self.cls.example.outputs, found[-1] if found else []
        if isinstance(last, Assignment) and self.steps[-1].outputs == outputs:
            return [*_written(found[:-1], indent), *statement("return ", last.code, indent)]
        values = ", ".join(self.value(value) for value in outputs)
        return [*_written(found, indent), f"{' ' * indent}return {values}"]

    def lines(self, start: int, stop: int, indent: int) -> list[str]:
        """The statements of these steps."""
        return _written(self._statements(start, stop, indent), indent)

    def _statements(self, start: int, stop: int, indent: int) -> list[Assignment | list[str]]:
        found: list[Assignment | list[str]] = []
        for number in range(start, stop):
            part = self.steps[number]
            operands = [self.names[value] for value in part.operands]
            targets = ", ".join(self._targets(number, part))
            found += self._part(part, self.codes[part], operands, targets, indent, {})
        return found

    def value(self, value: int) -> str:
        """The name of a value, once its statement is written."""
        return self.names[value]

    def _targets(self, number: int, part: TreeNode) -> list[str]:
        """Names for what a statement computes: `x` for a value that goes on, its step's for others."""
        busy = {
            text
            for value, text in self.names.items()
            if max(self.readers.get(value, {-1})) > number
        }
        targets: list[str] = []
        for value in part.outputs:
            readers = self.readers.get(value, set[int]())
            on = "x" not in busy and "x" not in targets and self._goes_on(readers)
            called = self.cls.dialect.identifier(self.places[part])
            targets.append("_" if not readers else "x" if on else self.space.unique(called))
        self.names = {value: text for value, text in self.names.items() if text not in targets}
        self.names.update(zip(part.outputs, targets, strict=True))
        return targets

    def _goes_on(self, readers: Collection[int]) -> bool:
        """Whether a single step reads the value, and no other: of two that meet, both have names."""
        numbers = [number for number in readers if number < len(self.steps)]
        return len(readers) == 1 and all(
            len(self.steps[number].operands) == 1 for number in numbers
        )

    def _part(
        self,
        part: TreeNode,
        code: Code,
        operands: Sequence[str],
        target: str,
        indent: int,
        counters: dict[int, str],
    ) -> list[Assignment | list[str]]:
        match part:
            case Sequential(numbered=True):
                return self._repeat(part, code, operands[0], target, indent, counters)
            case Sequential():
                found: list[Assignment | list[str]] = []
                for inner, each in zip(part.children, _items(code), strict=True):
                    found += self._part(inner, each, operands, target, indent, counters)
                    operands = [target]
                return found
            case Instance():
                named = self.paths.name_code(part.scope, self.cls.scope, counters)
                args = (*(("", value) for value in operands), *_args(code), ("name", named))
                made = Call(_function(code), args)
                return [
                    assignment(part, target, made, len(operands))
                    if self.rows
                    else Assignment(target, made)
                ]
            case LayerCall():
                return self._leaf(part, code, operands[0], target, counters)
            case MergeCall():
                name = self.paths.name_code(part.node, self.cls.scope, counters)
                assert part.merge.module is not None
                call = Call(part.merge.module.target, (("name", name),))
                return [Assignment(target, CallResult(call, List(tuple(operands))))]
            case _:
                raise TypeError(part)

    def _leaf(
        self, leaf: LayerCall, code: Code, operand: str, target: str, counters: dict[int, str]
    ) -> list[Any]:
        lines: list[Assignment] = []
        calls = _items(code) if isinstance(code, List) else (code,)
        name = self.paths.name_code(leaf.node, self.cls.scope, counters)
        for number, call in enumerate(calls, 1):
            assert isinstance(call, Call)
            own = name if number == len(calls) else f'{name[:-1]}{SEPARATOR}{_suffix(call.name)}"'
            lines.append(
                Assignment(
                    target, CallResult(Call(call.func, (*call.args, ("name", own))), operand)
                )
            )
            operand = target
        return lines

    def _repeat(
        self,
        chain: Sequential,
        code: Code,
        operand: str,
        target: str,
        indent: int,
        counters: dict[int, str],
    ) -> list[Assignment | list[str]]:
        """Iterations one after the other: loops where they are alike."""
        found: list[Assignment | list[str]] = []
        place, pad = _depth(chain), " " * indent
        for run, each in zip(chain.segments, _items(code), strict=True):
            if not isinstance(each, Starred):
                found += self._part(run.iterations[0], each, [operand], target, indent, counters)
            else:
                shift = int(run.iterations[0].path_parts[0]) - run.start
                counter = f"{{{each.counter}{f' + {shift}' if shift else ''}}}"
                inner = self._part(
                    run.iterations[0],
                    each.element,
                    [target],
                    target,
                    indent + 4,
                    {**counters, place: counter},
                )
                lines = [f"{pad}{target} = {operand}"] if operand != target else []
                lines.append(f"{pad}for {each.counter} in {each.iterable}:")
                for part in inner:
                    lines += part.as_statement(indent + 4) if isinstance(part, Assignment) else part
                found.append(lines)
            operand = target
        return found


def _written(found: Sequence[Assignment | list[str]], indent: int) -> list[str]:
    """The statements as lines; rows that follow one another stay a table."""
    lines: list[str] = []
    pending: list[Assignment] = []
    for each in found:
        if isinstance(each, Assignment):
            pending.append(each)
        else:
            lines += [*format_assignments(pending, indent), *each]
            pending = []
    return [*lines, *format_assignments(pending, indent)]


def _items(code: Code) -> tuple[Code, ...]:
    assert isinstance(code, List)
    return code.items


def _args(code: Code) -> tuple[tuple[str, Code], ...]:
    assert isinstance(code, Call)
    return code.args


def _function(code: Code) -> Any:
    assert isinstance(code, Call)
    return code.func


def _suffix(target: str) -> str:
    return next(
        (suffix for start, suffix in _SUFFIXES.items() if target.startswith(start)), "before"
    )


def _depth(chain: Sequential) -> int:
    """The place of an iteration's number in paths: as many parts come before it as the repeat's own path has."""
    return sum(scope.parent is not None for scope in chain.scope.chain())
