"""The body of `forward`: which values get a name, which are written where they are read.

An operand is written into the call that reads it where nothing else does and the line stays easy: activations around
their convolution, branches within their merge. In all but the shortest classes a layer with weights begins a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from archspec.codegen.module_tree import EmittedClass, LayerCall, MergeCall, ModuleList, TreeNode
from archspec.codegen.names import Namespace
from archspec.codegen.printer import BinOp, Call, Code, List, one_line, statement
from archspec.codegen.schedule import input_names, ordered_calls

_NESTED = 3  # calls within one another


class Forward:
    """The statements of one class.

    The network itself (`whole`) has a line for each step; its `late` outputs, those of heads that train mode alone has,
    come after all that the others need.
    """

    def __init__(
        self, cls: EmittedClass, *, whole: bool = False, late: Collection[int] = ()
    ) -> None:
        self.cls, self.example, self.whole = cls, cls.example, whole
        self.places: dict[TreeNode, str] = {}
        for part in self.example.children:
            if isinstance(part, ModuleList):
                self.places.update((item, f"{part.attr}[{item.attr}]") for item in part.children)
            else:
                self.places[part] = part.attr
        self.inputs = input_names(self.example)
        self.steps, self.early = ordered_calls(self.example, late)
        self.makers = {value: part for part in self.steps for value in part.outputs}
        self.reads = Counter(value for part in self.steps for value in part.operands)
        self.reads.update(self.example.outputs)
        self.inline = self._inlined()
        last = {value for part in self.steps[self.early :] for value in part.outputs}
        self.inline |= {value for value in last.intersection(late) if self.reads[value] == 1}
        self.readers = self._readers()
        self.names = dict(zip(self.example.inputs, self.inputs, strict=True))
        self.space = Namespace("self", *self.inputs)

    def _inlined(self) -> set[int]:
        """The values that are written where they are read."""
        found: set[int] = set()
        calls: dict[int, int] = {}
        for part in self.steps:
            depth = 1
            for value in part.operands:
                maker = self.makers.get(value)
                if maker is None or self.reads[value] > 1 or len(maker.outputs) > 1:
                    continue
                if self._reads_well(maker, part, calls[value]):
                    found.add(value)
                    depth = max(depth, calls[value] + 1)
            for value in part.outputs:
                calls[value] = depth
        return found

    def _reads_well(self, operand: TreeNode, reader: TreeNode, depth: int) -> bool:
        if isinstance(reader, MergeCall):
            return depth < _NESTED - 1
        light = isinstance(reader, LayerCall) and reader.node.op.depth != "layer"
        return not self.whole and depth < _NESTED and (light or len(self.steps) <= _NESTED)

    def _readers(self) -> dict[int, set[int]]:
        """By value, the numbers of the statements that read it; an inlined step counts where it is written."""
        readers: dict[int, set[int]] = {value: {len(self.steps)} for value in self.example.outputs}
        for number, part in reversed(list(enumerate(self.steps))):
            inlined = part.outputs[0] in self.inline
            for value in part.operands:
                readers.setdefault(value, set()).update(
                    readers[part.outputs[0]] if inlined else {number}
                )
        return readers

    def body(self, indent: int) -> list[str]:
        """The statements and the return of a class without heads."""
        if self.steps and self.steps[-1].outputs == self.example.outputs:
            lines = self.lines(0, len(self.steps) - 1, indent)
            return [*lines, *statement("return ", self.code(self.steps[-1]), indent)]
        lines = self.lines(0, len(self.steps), indent)
        return [*lines, f"{' ' * indent}return {', '.join(map(self.value, self.example.outputs))}"]

    def lines(self, start: int, stop: int, indent: int) -> list[str]:
        """The statements of these steps."""
        lines: list[str] = []
        for number in range(start, stop):
            part = self.steps[number]
            if part.outputs[0] not in self.inline:
                code = self.code(part)
                lines += statement(f"{', '.join(self._targets(number, part))} = ", code, indent)
        return lines

    def _targets(self, number: int, part: TreeNode) -> list[str]:
        """Names for what a statement computes: `x` for a value that goes on, its step's for one that is read again."""
        free = {text for value, text in self.names.items() if max(self.readers[value]) <= number}
        targets: list[str] = []
        for value in part.outputs:
            readers = self.readers.get(value, set[int]())
            on = len(readers) == 1 and "x" in free and "x" not in targets
            targets.append(
                "_" if not readers else "x" if on else self.space.unique(self._called(part))
            )
        self.names = {value: text for value, text in self.names.items() if text not in targets}
        self.names.update(zip(part.outputs, targets, strict=True))
        return targets

    def _called(self, part: TreeNode) -> str:
        return self.cls.dialect.identifier(self.places[part] or part.name)

    def value(self, value: int) -> str:
        """A value as it is read: its name, or the call that computes it."""
        return (
            one_line(self.code(self.makers[value])) if value in self.inline else self.names[value]
        )

    def code(self, part: TreeNode) -> Code:
        """The call of a step, its inlined operands within."""
        operands = tuple(
            self.code(self.makers[value]) if value in self.inline else self.names[value]
            for value in part.operands
        )
        if not isinstance(part, MergeCall):
            return Call(f"self.{self.places[part]}", tuple(("", operand) for operand in operands))
        if part.merge.operator == "cat":
            return Call("torch.cat", (("", List(operands)), ("dim", "1")))
        return BinOp(part.merge.operator, operands)
