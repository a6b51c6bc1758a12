"""The outputs that the network returns: the main one, and in train mode those of all heads."""

from __future__ import annotations

from archspec.codegen.names import Namespace
from archspec.codegen.printer import Call, statement
from archspec.codegen.schedule import train_only_outputs
from archspec.ir.graph import Graph
from archspec_torch.dialect import TORCH
from archspec_torch.forward import Forward


class NetworkOutputs:
    """The outputs of a network; `name` is the class of the tuple that holds several."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.name = name
        # A field with a default comes after those without one.
        self.heads = sorted(graph.heads, key=lambda head: head.train_only)
        self.eval_heads = [head for head in self.heads if not head.train_only]
        self.is_tuple = len(self.heads) > 1
        self.tuple_in_eval = len(self.eval_heads) > 1
        self.late_outputs = train_only_outputs(graph)
        space = Namespace()
        self.fields = [space.unique(TORCH.identifier(head.name)) for head in self.heads]

    @property
    def annotation(self) -> str:
        """The return type of `forward`."""
        if not self.is_tuple:
            return "Tensor"
        return self.name if self.tuple_in_eval else f"Tensor | {self.name}"

    def definition(self) -> str:
        """Return the class of the tuple."""
        when = "" if len(self.eval_heads) == len(self.heads) else " in train mode"
        lines = [f"class {self.name}(NamedTuple):", f'    """What the network gives{when}."""', ""]
        for field, head in zip(self.fields, self.heads, strict=True):
            optional = head.train_only and self.tuple_in_eval
            lines.append(f"    {field}: {'Tensor | None = None' if optional else 'Tensor'}")
        return "\n".join(lines)

    def body(self, forward: Forward) -> list[str]:
        """Return the statements of the network's `forward`."""
        if not self.is_tuple:
            return forward.body(8)
        lines = forward.statements(0, forward.early, 8)
        always = [forward.value(head.node) for head in self.eval_heads]
        if len(self.eval_heads) < len(self.heads):
            result = f"{self.name}({', '.join(always)})" if self.tuple_in_eval else always[0]
            lines += ["        if not self.training:", f"            return {result}"]
        lines += forward.statements(forward.early, len(forward.steps), 8)
        every = Call(self.name, tuple(("", forward.value(head.node)) for head in self.heads))
        return [*lines, *statement("return ", every, 8)]
