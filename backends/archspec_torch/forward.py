"""The body of `forward`: values that get a name, and values written inline into their reader's
call.

An operand is inlined if nothing else reads it and the line stays easy to read: a convolution into
its activation, branches into their merge. Except in the shortest classes, a layer with weights
begins a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from archspec.codegen.module_tree import EmittedClass, LayerCall, MergeCall, ModuleList, TreeNode
from archspec.codegen.names import Namespace
from archspec.codegen.printer import BinOp, Call, Code, List, one_line, statement
from archspec.codegen.schedule import input_names, ordered_calls

MAX_NESTED_CALLS = 3
"""The deepest nesting of calls on one line."""


class Forward:
    """The statements of one class.

    Args:
        cls: The class.
        whole: True for the network's own class, which has a line for each step.
        late: The values of heads with `only: train`, computed after everything else.
    """

    def __init__(
        self, cls: EmittedClass, *, whole: bool = False, late: Collection[int] = ()
    ) -> None:
        self.cls = cls
        self.example = cls.example
        self.whole = whole
        self.attributes: dict[TreeNode, str] = {}
        for part in self.example.children:
            if isinstance(part, ModuleList):
                self.attributes.update(
                    (item, f"{part.attr}[{item.attr}]") for item in part.children
                )
            else:
                self.attributes[part] = part.attr
        self.inputs = input_names(self.example)
        self.steps, self.early = ordered_calls(self.example, late)
        self.producers = {value: part for part in self.steps for value in part.outputs}
        self.reads = Counter(value for part in self.steps for value in part.operands)
        self.reads.update(self.example.outputs)
        self.inline = self._find_inline()
        last = {value for part in self.steps[self.early :] for value in part.outputs}
        self.inline |= {value for value in last.intersection(late) if self.reads[value] == 1}
        self.readers = self._readers()
        self.names = dict(zip(self.example.inputs, self.inputs, strict=True))
        self.space = Namespace("self", *self.inputs)

    def _find_inline(self) -> set[int]:
        """Return the values that are written into the call that reads them."""
        inline: set[int] = set()
        nesting: dict[int, int] = {}
        for part in self.steps:
            depth = 1
            for value in part.operands:
                producer = self.producers.get(value)
                if producer is None or self.reads[value] > 1 or len(producer.outputs) > 1:
                    continue
                if self._reads_well(part, nesting[value]):
                    inline.add(value)
                    depth = max(depth, nesting[value] + 1)
            for value in part.outputs:
                nesting[value] = depth
        return inline

    def _reads_well(self, reader: TreeNode, depth: int) -> bool:
        """Return True if an operand of so many nested calls may be inlined into its reader."""
        if isinstance(reader, MergeCall):
            return depth < MAX_NESTED_CALLS - 1
        light = isinstance(reader, LayerCall) and reader.node.op.depth != "layer"
        return (
            not self.whole
            and depth < MAX_NESTED_CALLS
            and (light or len(self.steps) <= MAX_NESTED_CALLS)
        )

    def _readers(self) -> dict[int, set[int]]:
        """Return the numbers of the statements that read each value; inlined steps count where they
        are."""
        readers: dict[int, set[int]] = {value: {len(self.steps)} for value in self.example.outputs}
        for number, part in reversed(list(enumerate(self.steps))):
            inlined = part.outputs[0] in self.inline
            for value in part.operands:
                readers.setdefault(value, set()).update(
                    readers[part.outputs[0]] if inlined else {number}
                )
        return readers

    def body(self, indent: int) -> list[str]:
        """Return the statements and the return of a class without heads."""
        if self.steps and self.steps[-1].outputs == self.example.outputs:
            lines = self.statements(0, len(self.steps) - 1, indent)
            return [*lines, *statement("return ", self.code(self.steps[-1]), indent)]
        lines = self.statements(0, len(self.steps), indent)
        return [*lines, f"{' ' * indent}return {', '.join(map(self.value, self.example.outputs))}"]

    def statements(self, start: int, stop: int, indent: int) -> list[str]:
        """Return the statements of the steps from `start` to `stop`."""
        lines: list[str] = []
        for number in range(start, stop):
            part = self.steps[number]
            if part.outputs[0] not in self.inline:
                code = self.code(part)
                lines += statement(f"{', '.join(self._targets(number, part))} = ", code, indent)
        return lines

    def _targets(self, number: int, part: TreeNode) -> list[str]:
        """Name a statement's values: `x` if only the next statement reads it, else after the
        step."""
        free = {text for value, text in self.names.items() if max(self.readers[value]) <= number}
        targets: list[str] = []
        for value in part.outputs:
            readers = self.readers.get(value, set[int]())
            # `x` is passed on from line to line, and free again once its last reader has run.
            on = len(readers) == 1 and "x" in free and "x" not in targets
            if not readers:
                targets.append("_")
            elif on:
                targets.append("x")
            else:
                targets.append(self.space.unique(self._name_of(part)))
        self.names = {value: text for value, text in self.names.items() if text not in targets}
        self.names.update(zip(part.outputs, targets, strict=True))
        return targets

    def _name_of(self, part: TreeNode) -> str:
        return self.cls.dialect.identifier(self.attributes[part] or part.name)

    def value(self, value: int) -> str:
        """Return a value as it is read: its name, or the call that computes it."""
        return (
            one_line(self.code(self.producers[value]))
            if value in self.inline
            else self.names[value]
        )

    def code(self, part: TreeNode) -> Code:
        """Return the call of a step, with its inlined operands."""
        operands = tuple(
            self.code(self.producers[value]) if value in self.inline else self.names[value]
            for value in part.operands
        )
        if not isinstance(part, MergeCall):
            return Call(
                f"self.{self.attributes[part]}", tuple(("", operand) for operand in operands)
            )
        if part.merge.operator == "cat":
            return Call("torch.cat", (("", List(operands)), ("dim", "1")))
        return BinOp(part.merge.operator, operands)
