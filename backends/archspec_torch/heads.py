"""What the network returns: its main output, and in train mode those of train-only heads."""

from __future__ import annotations

from archspec.codegen.names import Namespace
from archspec.codegen.printer import Call, statement
from archspec.codegen.schedule import train_only_outputs
from archspec.ir.graph import Graph
from archspec_torch.dialect import TORCH
from archspec_torch.forward import Forward


class Outputs:
    """The outputs of a network; `late` are those of train-only heads, `name` the tuple's class."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.name = name
        # A field with a default comes after those without one.
        self.heads = sorted(graph.heads, key=lambda head: head.train_only)
        self.always = [head for head in self.heads if not head.train_only]
        self.several = len(self.heads) > 1
        self.tuple_in_eval = len(self.always) > 1
        self.late = train_only_outputs(graph)
        space = Namespace()
        self.fields = [space.unique(TORCH.identifier(head.name)) for head in self.heads]

    @property
    def annotation(self) -> str:
        """The type that `forward` returns."""
        if not self.several:
            return "Tensor"
        return self.name if self.tuple_in_eval else f"Tensor | {self.name}"

    def definition(self) -> str:
        """The class of the tuple."""
        when = "" if len(self.always) == len(self.heads) else " in train mode"
        lines = [f"class {self.name}(NamedTuple):", f'    """What the network gives{when}."""', ""]
        for field, head in zip(self.fields, self.heads, strict=True):
            optional = head.train_only and self.tuple_in_eval
            lines.append(f"    {field}: {'Tensor | None = None' if optional else 'Tensor'}")
        return "\n".join(lines)

    def body(self, forward: Forward) -> list[str]:
        """The statements of the network's `forward`."""
        if not self.several:
            return forward.body(8)
        lines = forward.lines(0, forward.early, 8)
        always = [forward.value(head.node) for head in self.always]
        if len(self.always) < len(self.heads):
            result = f"{self.name}({', '.join(always)})" if self.tuple_in_eval else always[0]
            lines += ["        if not self.training:", f"            return {result}"]
        lines += forward.lines(forward.early, len(forward.steps), 8)
        every = Call(self.name, tuple(("", forward.value(head.node)) for head in self.heads))
        return [*lines, *statement("return ", every, 8)]
