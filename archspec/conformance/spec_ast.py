"""Specs before they are text, and an interpreter that runs their steps on shapes.

It shares no code with the compiler. It knows which layers a spec has, in which order, and the
output shape of each.

>>> step = StepNode("relu")
>>> Interpreter({}, {}).step(step, ShapeFrame({}, ChainMap()), (4, 8, 8))
(4, 8, 8)
>>> step.data()
'relu'
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from archspec.conformance.expressions import Env, SpelledValue
from archspec.conformance.ops import make_op
from archspec.ir.types import Shape

MAX_VALUES, MAX_WEIGHTS, MAX_LAYERS = 1000, 4000, 80
"""Limits of a value, a layer and a network that the reference runs in a moment."""


class InvalidSpec(Exception):
    """A spec that is not a network, or too large a one."""


@dataclass(eq=False)
class StepNode:
    """An op, a call of a block, a merge with branches, or a repeat with a body.

    `reserved` holds the keys that any step can have, such as its name.
    """

    what: str
    arguments: dict[str, SpelledValue] = field(default_factory=dict[str, SpelledValue])
    reserved: dict[str, SpelledValue] = field(default_factory=dict[str, SpelledValue])
    branches: dict[str, list[StepNode]] | None = None
    body: list[StepNode] | None = None
    table: bool = False
    """Whether it is written in a table, together with its neighbours that are."""

    @property
    def row(self) -> bool:
        """Tell whether a table can hold it as a row."""
        return self.branches is None and self.body is None

    def data(self) -> Any:
        """Return the step as YAML data."""
        inner: Any = {key: value.text for key, value in self.arguments.items()}
        if self.branches is not None:
            inner = {label: body_data(body) for label, body in self.branches.items()}
        if self.body is not None:
            inner["body"] = body_data(self.body)
        reserved = {key: value.text for key, value in self.reserved.items()}
        return {**reserved, self.what: inner or None} if reserved or inner else self.what


@dataclass(eq=False)
class BlockNode:
    """A block: its body and its arguments.

    `types` and `example` have a type and a fitting value for each argument, `defaults` how its
    default is written and what that means.
    """

    body: list[StepNode]
    types: dict[str, str]
    defaults: dict[str, tuple[str, Any]]
    example: dict[str, Any]

    def data(self) -> dict[str, Any]:
        declared = {
            n: f"{t} = {self.defaults[n][0]}" if n in self.defaults else t
            for n, t in self.types.items()
        }
        args = list(declared) if set(declared.values()) <= {"int"} else declared
        return {**({"args": args} if args else {}), "body": body_data(self.body)}


@dataclass
class ShapeFrame:
    """The values by name and the shapes of earlier steps that a step can see."""

    env: dict[str, Any]
    names: ChainMap[str, Shape]


@dataclass
class HeadNode:
    """A head and the step that it reads, named by `aux` there or by `from` here."""

    form: dict[str, Any]
    on: StepNode
    block: str | None = None


class Interpreter:
    """Runs bodies on shapes; `trace` lists the layers that ran, as kind and output shape."""

    def __init__(
        self,
        blocks: Mapping[str, BlockNode],
        args: Env,
        heads: Mapping[str, HeadNode] | None = None,
    ) -> None:
        self.blocks, self.args, self.heads = blocks, args, heads or {}
        self.trace: list[tuple[str, Shape]] = []
        self.outputs: dict[str, Shape] = {}

    def network(self, body: list[StepNode], shape: Shape) -> Shape:
        """Run the network and return the main output's shape; `outputs` has those of all heads."""
        frame = ShapeFrame(dict(self.args), ChainMap({"input": shape}))
        for step in body:
            shape = self.step(step, frame, shape)
            # A step's `aux` comes before the heads that say `from`, which come in their own order.
            for name, head in sorted(self.heads.items(), key=lambda item: "from" in item[1].form):
                if head.on is step:
                    self.outputs[name] = (
                        shape if head.block is None else self.block(head.block, {}, frame, shape)
                    )
        self.outputs["main"] = shape
        return shape

    def body(self, steps: list[StepNode], frame: ShapeFrame, shape: Shape) -> Shape:
        for step in steps:
            shape = self.step(step, frame, shape)
        return shape

    def step(self, step: StepNode, frame: ShapeFrame, shape: Shape) -> Shape:
        if (when := step.reserved.get("when")) and not evaluate(when, frame, shape):
            return shape
        sources = self._sources(step, frame, shape)
        first = sources[0]
        if step.body is not None:
            result = self._repeat(step, frame, first)
        elif step.what in self.blocks:
            result = self.block(step.what, step.arguments, frame, first)
        else:
            if step.branches is not None:
                sources = [
                    self.body(body, ShapeFrame(frame.env, frame.names.new_child()), first)
                    for body in step.branches.values()
                ]
            result = self._layer(step, frame, first, sources)
        if (name := step.reserved.get("name")) is not None:
            frame.names[evaluate(name, frame, shape)] = result
        return result

    def block(
        self, name: str, arguments: Mapping[str, SpelledValue], frame: ShapeFrame, shape: Shape
    ) -> Shape:
        block = self.blocks[name]
        passed = {key: evaluate(spelled, frame, shape) for key, spelled in arguments.items()}
        env = {
            **self.args,
            **{key: default for key, (_, default) in block.defaults.items()},
            **passed,
        }
        return self.body(block.body, ShapeFrame(env, ChainMap({"input": shape})), shape)

    def _sources(self, step: StepNode, frame: ShapeFrame, shape: Shape) -> list[Shape]:
        from_key = step.reserved.get("from")
        if from_key is None:
            return [shape]
        text: Any = from_key.text
        names = cast("list[str]", text) if isinstance(text, list) else [text]
        if not all(name in frame.names for name in names):  # named in another iteration
            raise InvalidSpec(f"no {names}")
        return [frame.names[name] for name in names]

    def _repeat(self, step: StepNode, frame: ShapeFrame, shape: Shape) -> Shape:
        times = evaluate(step.arguments["times"], frame, shape)
        if times < 0:
            raise InvalidSpec(f"{times} times")
        for i in range(times):
            counter = {step.arguments["as"].text: i} if "as" in step.arguments else {}
            shape = self.body(
                step.body or [],
                ShapeFrame({**frame.env, **counter}, frame.names.new_child()),
                shape,
            )
        return shape

    def _layer(self, step: StepNode, frame: ShapeFrame, shape: Shape, inputs: list[Shape]) -> Shape:
        fields = {key: evaluate(spelled, frame, shape) for key, spelled in step.arguments.items()}
        op = make_op(step.what, fields, *inputs)
        if op is None:
            raise InvalidSpec(f"{step.what} {fields} on {inputs}")
        result = op.shape(*inputs)
        weights = sum(param.size for param in op.params(*inputs))
        if math.prod(result) > MAX_VALUES or weights > MAX_WEIGHTS or len(self.trace) >= MAX_LAYERS:
            raise InvalidSpec("too large")
        self.trace.append((step.what, result))
        return result


_AXES = {1: (), 2: ("length",), 3: ("height", "width"), 4: ("depth", "height", "width")}


def visible_names(frame: ShapeFrame, shape: Shape) -> dict[str, Any]:
    """Return what an expression can read where `shape` enters: arguments, and the sizes of `in`."""
    axes = zip(("channels", *_AXES[len(shape)]), shape, strict=True)
    return {**frame.env, "in.rank": len(shape) - 1, **{f"in.{name}": size for name, size in axes}}


def evaluate(spelled: SpelledValue, frame: ShapeFrame, shape: Shape) -> Any:
    """Return the value of what is written. Raise `InvalidSpec` if it has none."""
    try:
        return spelled.of(visible_names(frame, shape))
    except (ArithmeticError, KeyError) as error:
        raise InvalidSpec(str(error)) from error


def body_data(steps: list[StepNode]) -> list[Any]:
    """Return a body as YAML data; neighbouring steps that are marked become a table."""
    items: list[Any] = []
    at = 0
    while at < len(steps):
        end = at
        while end < len(steps) and steps[end].table:
            end += 1
        if any(step.row for step in steps[at:end]):
            items.append({"table": _table(steps[at:end])})
        else:
            end = max(end, at + 1)
            items += [step.data() for step in steps[at:end]]
        at = end
    return items


def _table(steps: list[StepNode]) -> dict[str, Any]:
    """Return a table with a column for every key that a row has; other rows have `~` there."""
    rows = [
        {**s.reserved, "type": SpelledValue.plain(s.what), **s.arguments} for s in steps if s.row
    ]
    columns = list(dict.fromkeys(["name", "type", *(key for row in rows for key in row)]))
    cells = iter([[row[c].text if c in row else None for c in columns] for row in rows])
    return {
        "columns": columns,
        "rows": [next(cells) if step.row else step.data() for step in steps],
    }
