"""Draws the steps of a random network, each of which fits the one before, and their blocks."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import strategies as st

from archspec.conformance import expressions
from archspec.conformance.expressions import Env, SpelledValue
from archspec.conformance.fields import schema, spellings
from archspec.conformance.ops import drawn_fields, kinds, make_op
from archspec.conformance.spec_ast import (
    BlockNode,
    Interpreter,
    InvalidSpec,
    ShapeFrame,
    StepNode,
    visible_names,
)
from archspec.ir.types import Shape, format_shape, positive_ints

STEPS = ("s{0}", "#{0}x{0}", "a {0}/b", "step #{0}", "{0}x{0}", "x-{0}", "{0}")
ARGUMENTS = (
    "n{0}",
    "#{0}x{0} reduce",
    "patch/stride {0}",
    "pool proj {0}",
    "a{0}/b c",
    "{0}x{0}",
    "x-{0}",
)
BLOCKS = ("block {0}", "b{0}", "{0}x{0}/2 block", "#{0}")
MAX_DEPTH = 3


@dataclass
class BuildScope:
    """The surroundings of a step that is drawn.

    `frame` is what it sees. `lifts` and `types` are the arguments that values were lifted to.
    """

    frame: ShapeFrame
    types: dict[str, str] = field(default_factory=dict[str, str])
    lifts: dict[str, Any] = field(default_factory=dict[str, Any])
    root: bool = False
    depth: int = 0

    def inner(self, env: Env | None = None) -> BuildScope:
        """Return the scope of a branch or, given values of its own, of an iteration."""
        frame = ShapeFrame({**self.frame.env, **(env or {})}, self.frame.names.new_child())
        return BuildScope(frame, self.types, self.lifts, self.root, self.depth + 1)


class SpecBuilder:
    """Draws steps of the given ops; `blocks` and `args` are those of the whole spec."""

    def __init__(self, draw: st.DrawFn, known: Collection[str]) -> None:
        self.draw, self.known = draw, known
        self.blocks: dict[str, BlockNode] = {}
        self.args: dict[str, Any] = {}
        self.count = 0
        for _ in range(draw(st.integers(0, 2))):
            self.args[self.fresh(ARGUMENTS)] = draw(st.one_of(st.integers(1, 4), st.booleans()))

    def fresh(self, patterns: tuple[str, ...]) -> str:
        """Return a name that the spec does not have yet."""
        self.count += 1
        return self.draw(st.sampled_from(patterns)).format(self.count)

    def kinds(self, shape: Shape, *, many: bool = False) -> list[str]:
        """Return the ops that it draws for a value of that shape: merges, or all others."""
        return [kind for kind in kinds(len(shape) - 1, many=many) if kind in self.known]

    def once_in(self, n: int) -> bool:
        return self.draw(st.integers(1, n)) == n

    def mark_tables(self, steps: list[StepNode]) -> None:
        """Mark some of the steps to be written as tables."""
        if steps and self.once_in(3):
            first = self.draw(st.integers(0, len(steps) - 1))
            for step in steps[first : first + self.draw(st.integers(1, len(steps)))]:
                step.table = True

    # Bodies and steps.

    def body(
        self, scope: BuildScope, shape: Shape, least: int, most: int
    ) -> tuple[list[StepNode], Shape]:
        steps: list[StepNode] = []
        for _ in range(self.draw(st.integers(least, most))):
            if drawn := self.step(scope, shape):
                steps.append(drawn[0])
                shape = drawn[1]
        self.mark_tables(steps)
        return steps, shape

    def step(self, scope: BuildScope, shape: Shape) -> tuple[StepNode, Shape] | None:
        """Draw a step that takes this shape, with its output's. Return None after four failures."""
        simple = [self.op] * 6 + [self.join]
        nested = [self.merge, self.merge, self.repeat, self.block, self.block, self.block]
        for _ in range(4):
            make = self.draw(
                st.sampled_from(simple + nested if scope.depth < MAX_DEPTH else simple)
            )
            step = make(scope, shape)
            if step is None:
                continue
            self.reserve(scope, step, shape)
            if (result := self.tried(scope, step, shape)) is not None:
                return step, result
        return None

    def tried(self, scope: BuildScope, step: StepNode, shape: Shape) -> Shape | None:
        scope.frame.env.update(scope.lifts)
        try:
            return Interpreter(self.blocks, self.args).step(step, scope.frame, shape)
        except InvalidSpec:
            return None

    def reserve(self, scope: BuildScope, step: StepNode, shape: Shape) -> None:
        """Give a step a name and a condition, now and then."""
        if self.draw(st.booleans()):
            name = self.fresh(STEPS)
            counters = [n for n in scope.frame.env if re.fullmatch(r"i\d+", n)]
            if counters and self.draw(st.booleans()):
                step.reserved["name"] = SpelledValue(
                    f"{name} ${counters[-1]}", lambda env: f"{name} {env[counters[-1]]}"
                )
            else:
                step.reserved["name"] = SpelledValue.plain(name)
        if self.once_in(6):
            truth = self.draw(st.booleans())
            env = visible_names(scope.frame, shape)
            plain = self.once_in(4)
            step.reserved["when"] = (
                SpelledValue.plain(truth) if plain else self.draw(expressions.booleans(truth, env))
            )

    def source(self, scope: BuildScope, step: StepNode, shape: Shape) -> Shape:
        """Return the shape that enters a step: the one before or, now and then, an earlier one."""
        if not scope.frame.names or not self.once_in(6):
            return shape
        name = self.draw(st.sampled_from(list(scope.frame.names)))
        step.reserved["from"] = SpelledValue.plain(name)
        return scope.frame.names[name]

    def op(self, scope: BuildScope, shape: Shape) -> StepNode | None:
        step = StepNode("")
        shape = self.source(scope, step, shape)
        # The more ways there are to write an op, the more often it is drawn.
        kinds = [
            kind
            for kind in self.kinds(shape)
            for _ in range(2 + sum(map(spellings, schema(kind).values())))
        ]
        if not kinds:
            return None
        step.what = self.draw(st.sampled_from(kinds))
        fields = next(
            (
                f
                for f in (self.draw(drawn_fields(step.what, shape)) for _ in range(5))
                if make_op(step.what, f, shape)
            ),
            None,
        )
        if fields is None:
            return None
        env = visible_names(scope.frame, shape)
        step.arguments = {n: self.spell(scope, v, env) for n, v in fields.items()}
        self.patch(scope, step, fields)
        return step

    def join(self, scope: BuildScope, shape: Shape) -> StepNode | None:
        """Draw a merge of earlier steps by name: a skip connection."""
        names = [name for name, named in scope.frame.names.items() if len(named) == len(shape)]
        kinds = self.kinds(shape, many=True)
        if len(names) < 2 or not kinds:
            return None
        chosen = self.draw(st.lists(st.sampled_from(names), min_size=2, max_size=3, unique=True))
        kind = self.draw(st.sampled_from(kinds))
        if make_op(kind, {}, *(scope.frame.names[name] for name in chosen)) is None:
            return None
        return StepNode(kind, reserved={"from": SpelledValue.plain(chosen)})

    def merge(self, scope: BuildScope, shape: Shape) -> StepNode | None:
        """Draw a merge with branches.

        The first is drawn freely. Each other one is empty, drawn freely or a copy of the first,
        whichever fits.
        """
        kinds = self.kinds(shape, many=True)
        if not kinds:
            return None
        step = StepNode(self.draw(st.sampled_from(kinds)), branches={})
        shape = self.source(scope, step, shape)
        first, out = self.body(scope.inner(), shape, 0, 2)
        branches, shapes = [first], [out]
        nothing: tuple[list[StepNode], Shape] = ([], shape)
        for _ in range(self.draw(st.integers(1, 2))):
            free = self.body(scope.inner(), shape, 1, 2)
            for body, result in self.draw(st.permutations([nothing, free, (first, out)])):
                if make_op(step.what, {}, *shapes, result) is not None:
                    branches.append(body)
                    shapes.append(result)
                    break
        if len(branches) < 2:
            return None
        step.branches = {self.fresh(STEPS): body for body in self.draw(st.permutations(branches))}
        return step

    def repeat(self, scope: BuildScope, shape: Shape) -> StepNode | None:
        """Draw a body that can follow itself, repeated as often as it can."""
        counter = f"i{self.fresh(('{0}',))}" if self.draw(st.booleans()) else ""
        body, _ = self.body(scope.inner({counter: 0} if counter else {}), shape, 1, 2)
        most = self.draw(st.integers(0, 3))
        for times in range(most, -1, -1):
            step = StepNode("repeat", {"times": SpelledValue.plain(times)}, body=body)
            if counter:
                step.arguments["as"] = SpelledValue.plain(counter)
            if self.tried(scope.inner(), step, shape) is not None:
                step.arguments["times"] = self.spell(
                    scope, times, visible_names(scope.frame, shape)
                )
                return step
        return None

    # Blocks.

    def block(self, scope: BuildScope, shape: Shape) -> StepNode | None:
        """Draw a call of a new block, or of an existing one with its first values or others."""
        step = StepNode("")
        shape = self.source(scope, step, shape)
        names = list(self.blocks)
        step.what = (
            self.draw(st.sampled_from(names))
            if names and self.draw(st.booleans())
            else self.new_block(scope, shape)
        )
        block = self.blocks[step.what]
        env = visible_names(scope.frame, shape)
        other = self.draw(st.booleans())
        for name, value in block.example.items():
            if other:
                value = self.varied(value)
            elif name in block.defaults and self.draw(st.booleans()):
                continue
            step.arguments[name] = self.spell(scope, value, env, block.types[name])
        return step

    def varied(self, value: Any) -> Any:
        if isinstance(value, bool):
            return self.draw(st.booleans())
        return value + self.draw(st.integers(-1, 2)) if isinstance(value, int) else value

    def new_block(self, scope: BuildScope, shape: Shape, *, defaults: bool = False) -> str:
        """Draw a block for this input and return its name.

        With `defaults` every argument has a default, as the block of a head needs.
        """
        inside = BuildScope(
            ShapeFrame(dict(self.args), ChainMap({"input": shape})), depth=scope.depth + 1
        )
        body, _ = self.body(inside, shape, 1, 3)
        with_default = [name for name in inside.types if defaults or self.draw(st.booleans())]
        texts = {
            name: (_default(inside.types[name], inside.lifts[name]), inside.lifts[name])
            for name in with_default
        }
        name = self.fresh(BLOCKS)
        self.blocks[name] = BlockNode(body, inside.types, texts, inside.lifts)
        return name

    # Values.

    def spell(self, scope: BuildScope, value: Any, env: Env, kind: str = "") -> SpelledValue:
        """Return a way to write a value: plainly, as an expression, or lifted to an argument.

        `kind` is the type of the argument that it is for; it is empty for a field of an op.
        """
        how = self.draw(st.integers(0, 6))
        if how == 5 and isinstance(value, bool):
            return self.draw(expressions.booleans(value, env))
        if how in (4, 5) and type(value) is int:
            return self.draw(expressions.integers(value, env))
        types = (
            [t for t in _types(value) if t in (kind, *_ALSO.get(kind, ())) or not kind]
            if how == 6
            else []
        )
        if scope.root:  # the network's arguments are scalars
            types = [kind for kind in types if not isinstance(value, list)]
        return (
            self.lift(scope, value, self.draw(st.sampled_from(types)))
            if types
            else SpelledValue.plain(value)
        )

    def lift(self, scope: BuildScope, value: Any, kind: str) -> SpelledValue:
        name = self.fresh(ARGUMENTS)
        scope.lifts[name], scope.types[name] = value, kind
        return SpelledValue.name(name, self.draw(st.booleans()))

    def patch(self, scope: BuildScope, step: StepNode, fields: dict[str, Any]) -> None:
        """Take a kernel and a stride from one argument such as 3x3/2."""
        sizes = [
            size
            for name in ("kernel", "stride")
            if (size := positive_ints(fields.get(name))) is not None
        ]
        if scope.root or len(sizes) < 2 or not self.once_in(3):
            return
        text = "/".join(map(format_shape, sizes))
        name = self.lift(scope, text, "patch").text
        inner = name.strip("${}")
        for i, part in enumerate(("kernel", "stride")):
            step.arguments[part] = SpelledValue(
                f"${{{inner}.{part}}}", lambda env, i=i: env[inner].split("/")[i]
            )


_ALSO = {"size": ("str", "shape"), "shape": ("size",), "patch": ("str",)}
"""The other types that an argument's values may have."""


def _types(value: Any) -> list[str]:
    """Return the argument types that a value can have."""
    if isinstance(value, bool | int | float):
        return [type(value).__name__]
    size = positive_ints(value)
    if isinstance(value, str):
        if size:
            return ["str", "size"]
        return ["patch", "str"] if "/" in value else ["str"]
    if not size:
        return []
    return ["shape", "size"] if len(size) <= 3 else ["shape"]


def _default(kind: str, value: Any) -> str:
    """Return how a value is written as the default of an argument."""
    if kind in ("size", "shape") and isinstance(value, list):
        return format_shape(tuple(cast("list[int]", value)))
    return str(value).lower() if isinstance(value, bool) else str(value)
