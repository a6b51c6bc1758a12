"""Typed bodies to a graph: gives every argument its value, every step its shape, every layer its neutral name.

A step that fails yields an unknown value, and what depends on it stays silent; a stated `output` makes the value known
again, so that one run finds the mistakes on both sides.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from archspec.diagnostics import Note, Report, Span, did_you_mean, quote
from archspec.frontend.address import numbered
from archspec.frontend.arguments import coerce
from archspec.frontend.cache import features, make_op, output_shape
from archspec.frontend.frame import Frame, Value
from archspec.frontend.heads import Heads
from archspec.frontend.init_rules import read_init
from archspec.frontend.merge_errors import explain_merge
from archspec.frontend.pydantic_errors import explain
from archspec.frontend.shapes import answers, claimed_shape
from archspec.frontend.step import Argument, Block, Body, Broken, Step
from archspec.ir.expr import ExprError, describe
from archspec.ir.graph import Claim, Input, Node, Scope
from archspec.ir.op import Op, ShapeError
from archspec.ir.types import LIMIT, Shape, format_shape
from archspec.ops import OPS

MAX_LAYERS = 50_000
MAX_WORK = 2_000_000
"""Steps, arguments, operators and characters of paths that a spec may unroll to: it bounds time and memory."""
MAX_NESTING = 100


class Elaborator:
    """Builds the nodes of one network."""

    def __init__(
        self, report: Report, blocks: Mapping[str, Block], root: Scope, heads: Heads
    ) -> None:
        self.report, self.blocks, self.root, self.heads = report, blocks, root, heads
        self.nodes: list[Node] = []
        self.written: list[tuple[Step | None, Frame | None]] = []
        self.claims: list[Claim] = []
        self.work = 0
        self.lost = False
        """Whether there is a row of which nothing is known: the head that hangs on no step may hang on it."""

    def network(self, body: Body, shape: Shape | None) -> tuple[Frame, Value]:
        """Elaborates the network's body; the frame knows its steps by name."""
        entry = self.add(Input(), "input", (), shape, self.root, None, None) if shape else None
        frame = Frame(self.report, self.root, dict(self.root.args), entry)
        frame.names["input"] = entry
        return frame, self.body(frame, body, entry)

    def head(self, frame: Frame, name: str, block: str, value: Value, span: Span) -> Value:
        """Instantiates a head's block on a value."""
        self.take(frame, name, span)
        self.enter(frame, value)
        return self.block(frame, Step(block, span, span), name, value, kind="head")

    # Steps.

    def body(self, frame: Frame, steps: Body, value: Value) -> Value:
        for step in steps:
            value = self.step(frame, step, value)
        return value

    def step(self, frame: Frame, step: Step, value: Value) -> Value:
        self.spend(frame, step, step.cost)
        self.enter(frame, value)
        name = "" if "name" in step.reserved else self.numbered(frame, step)
        if (when := step.reserved.get("when")) is not None:
            wanted = frame.evaluate(when)
            if wanted is False:
                return value
            if wanted is not True and wanted is not Broken:
                frame.fail(
                    "AS0506", when.span, f"`when` is true or false, found {describe(wanted)}"
                )
        name = name or self.name(frame, step)
        self.take(frame, name, step.reserved["name"].span if "name" in step.reserved else step.span)
        sources = self.sources(frame, step, value)
        if "init" in step.reserved and step.what not in OPS and not step.lost:
            message = f"`init` belongs to an op, and {quote(step.what)} is none"
            frame.fail("AS0202", step.reserved["init"].key, message, "state it at the op inside")
        result: Value = None
        if step.lost:
            self.lost |= step.row and not step.what
        elif step.what == "repeat":
            result = self.repeat(frame, step, name, sources[0])
        elif step.what in self.blocks:
            result = self.block(frame, step, name, sources[0])
        elif OPS[step.what].variadic:
            result = self.merge(frame, step, name, sources)
        else:
            result = self.op(frame, step, name, sources[:1])
        self.enter(frame, sources[0])
        result = self.claimed(frame, step, name, result)
        frame.names[name] = result
        if (aux := step.reserved.get("aux")) is not None:
            self.attach(frame, aux, result)
        if frame.scope is self.root:
            self.heads.passed(self, frame, name, result)
        return result

    def spend(self, frame: Frame, step: Step, work: int) -> None:
        """Every step costs its arguments and its path; stops where the whole costs too much."""
        self.work += work + frame.length // 64
        if self.work > MAX_WORK:
            message = f"the spec unrolls to more than {MAX_WORK:,} steps, arguments and operators"
            self.report.stop("AS0701", step.span, message, help="repeat less")

    def nest(self, frame: Frame, step: Step) -> bool:
        """Whether a body may be nested in this one."""
        if frame.depth >= MAX_NESTING:
            message = f"blocks, branches and repeats are nested more than {MAX_NESTING} deep"
            frame.fail("AS0702", step.span, message, "use steps that follow each other")
        return frame.depth < MAX_NESTING

    def enter(self, frame: Frame, value: Value) -> None:
        """`in` is the value that enters the step; it has no meaning while that is unknown."""
        if value is None:
            frame.env.pop("in", None)
        else:
            frame.env["in"] = features(self.nodes[value].shape)

    def attach(self, frame: Frame, aux: Argument, value: Value) -> None:
        head = frame.evaluate(aux)
        if frame.scope is not self.root:
            frame.fail(
                "AS0405",
                aux.span,
                "a head attaches to a step of the network itself",
                "use `aux` outside blocks",
            )
        elif isinstance(head, str):
            self.heads.attach(self, frame, head, value, aux.span)
        elif head is not Broken:
            frame.fail("AS0204", aux.span, f"`aux` names a head, found {describe(head)}")

    def numbered(self, frame: Frame, step: Step) -> str:
        """The name of a step that states none. A step that `when` leaves out keeps its number."""
        return numbered(step.what or "step", frame.counts, frame.taken)

    def name(self, frame: Frame, step: Step) -> str:
        """The name that a step states."""
        given = step.reserved["name"]
        value = frame.evaluate(given)
        if value is Broken:
            return self.numbered(frame, step)
        name = str(value)
        if (
            not isinstance(value, str | int)
            or isinstance(value, bool)
            or not name.strip()
            or "." in name
        ):
            frame.fail(
                "AS0210", given.span, f"a name is a text without dots, found {describe(value)}"
            )
        elif name == "input":
            frame.fail(
                "AS0210", given.span, "`input` is the network's input: a step needs another name"
            )
        else:
            return name
        return self.numbered(frame, step)

    def take(self, frame: Frame, name: str, span: Span) -> None:
        if (first := frame.taken.get(name)) is not None:
            help = "give one of them another `name`"
            frame.fail(
                "AS0403",
                span,
                f"the name {quote(name)} is used twice here",
                help,
                (Note("first used", first),),
            )
        frame.taken.setdefault(name, span)

    def sources(self, frame: Frame, step: Step, value: Value) -> list[Value]:
        """The values that enter: those that `from` names, else the one before."""
        given = step.reserved.get("from")
        if given is None:
            return [value]
        wanted = frame.evaluate(given)
        names: list[Any] = wanted if isinstance(wanted, list) else [wanted]  # pyright: ignore[reportUnknownVariableType]
        items = given.items if isinstance(given.items, list) else [given] * len(names)
        several = step.what in OPS and OPS[step.what].variadic and step.branches is None
        if len(names) > 1 and not several:
            frame.fail(
                "AS0204",
                given.span,
                f"{quote(step.what)} takes one value, `from` names {len(names)}",
            )
            names = names[:1]
        if several and len(names) < 2 and wanted is not Broken:
            frame.fail(
                "AS0311",
                given.span,
                f"{quote(step.what)} joins two values or more, `from` names {len(names)}",
            )
        found: list[Value] = []
        for name, item in zip(names, items, strict=False):
            if name is not Broken and (
                not isinstance(name, str | int) or str(name) not in frame.names
            ):
                earlier = [n for n in frame.names if n != "input"]
                help = did_you_mean(str(name), earlier, "earlier steps")
                frame.fail(
                    "AS0402",
                    item.span,
                    f"`from` names {quote(name)}, and no earlier step is called so",
                    help,
                )
            found.append(frame.names.get(str(name)))
        self.enter(frame, found[0] if found else None)
        return found or [None]

    # What a step can be.

    def op(self, frame: Frame, step: Step, name: str, inputs: list[Value]) -> Value:
        op = self.make(frame, step)
        known = [i for i in inputs if i is not None]
        if op is None or len(known) < len(inputs):
            return None
        try:
            shape = output_shape(op, *(self.nodes[i].shape for i in known))
        except ShapeError as error:
            argument = step.arguments.get(error.field)
            span = frame.origin(argument).span if argument else step.span
            found = (
                f"its input is {format_shape(self.nodes[known[0]].shape)}"
                if len(known) == 1
                else ""
            )
            frame.fail(error.code, span, error.message, error.help, found=found)
            return None
        if not self.fits(frame, step, shape):
            return None
        return self.add(op, name, tuple(known), shape, frame.scope, step, frame)

    def fits(self, frame: Frame, step: Step, shape: Shape) -> bool:
        """Whether every axis of an output can be counted."""
        if max(shape) <= LIMIT:
            return True
        message = f"{quote(step.what)} gives {format_shape(shape)}, an axis too large"
        frame.fail("AS0505", step.span, message, "sizes stay below 2**62")
        return False

    def make(self, frame: Frame, step: Step) -> Op | None:
        values: dict[str, Any] = {
            key: frame.evaluate(argument) for key, argument in step.arguments.items()
        }
        if any(value is Broken for value in values.values()):
            return None
        kind = OPS[step.what]
        try:
            return make_op(kind, values)
        except ValidationError as error:

            def place(path: tuple[Any, ...], key: bool) -> Span:
                argument = step.arguments.get(str(path[0])) if path else None
                if argument is None:
                    return step.span
                return argument.key if key else frame.origin(argument).span

            def fail(code: str, span: Span, message: str, help: str) -> None:
                hint = next(
                    (a.hint for a in map(frame.origin, step.arguments.values()) if a.span == span),
                    "",
                )
                frame.fail(code, span, message, help or hint)

            explain(error, kind, step.what, place, fail)
            return None

    def add(
        self,
        op: Op,
        name: str,
        inputs: tuple[int, ...],
        shape: Shape,
        scope: Scope,
        step: Step | None,
        frame: Frame | None,
    ) -> int:
        index = len(self.nodes)
        if index > MAX_LAYERS and step is not None:
            message = f"the network has more than {MAX_LAYERS:,} layers"
            self.report.stop("AS0701", step.span, message, help="repeat less")
        exprs = (
            {key: a.expr for key, a in step.arguments.items() if a.expr is not None} if step else {}
        )
        init: Mapping[str, Any] = {}
        if step and frame and (stated := step.reserved.get("init")) is not None:
            shapes = [self.nodes[i].shape for i in inputs]
            init = read_init(frame.evaluate(stated), stated, op, shapes, frame.fail)
        span = step.span if step else scope.span
        row = step.row if step else False
        self.nodes.append(Node(index, name, op, inputs, shape, scope, span, exprs, init, row))
        self.written.append((step, frame))
        return index

    def block(
        self, frame: Frame, step: Step, name: str, value: Value, kind: Any = "block"
    ) -> Value:
        if not self.nest(frame, step):
            return None
        block = self.blocks[step.what]
        self.spend(frame, step, block.cost)
        env: dict[str, Any] = dict(self.root.args)
        broken = False
        for parameter in block.parameters.values():
            given = step.arguments.get(parameter.name)
            argument = given or parameter.default
            if argument is None:
                message = f"{quote(name)} gives no {quote(parameter.name)}, which {quote(step.what)} needs"
                notes = (Note(f"{parameter.name} is declared", parameter.span),)
                frame.fail("AS0207", step.end if step.row else step.span, message, notes=notes)
                broken = True
                continue
            if given is not None:
                result = frame.evaluate(given)
            else:
                result = Frame(self.report, frame.scope, env, None).evaluate(argument)
            try:
                env[parameter.name] = result if result is Broken else coerce(parameter.type, result)
            except ExprError as error:
                span = frame.origin(argument).span
                frame.fail(
                    error.code,
                    span,
                    f"{quote(parameter.name)}: {error.message}",
                    error.help or argument.hint,
                )
                env[parameter.name] = Broken
            broken |= env[parameter.name] is Broken
        args = {key: env[key] for key in block.parameters if key in env}
        exprs = {key: a.expr for key, a in step.arguments.items() if a.expr is not None}
        scope = Scope(
            name, kind, step.span, frame.scope, step.what, args, exprs, step.row, block.doc
        )
        if broken:
            return None
        inside = frame.inner(scope, value)
        inside.env, inside.names, inside.parameters = (
            env,
            ChainMap({"input": value}),
            block.parameters,
        )
        inside.call, inside.caller = step, frame
        return self.body(inside, block.body, value)

    def merge(self, frame: Frame, step: Step, name: str, sources: list[Value]) -> Value:
        if not self.nest(frame, step):
            return None
        values: list[Value] = sources if step.branches is None else []
        prefix = f"{name}_" if "name" in step.reserved else ""
        for label, (span, body) in (step.branches or {}).items():
            if not label.strip() or "." in label:
                frame.fail(
                    "AS0210", span, f"a branch's name is a text without dots, found {quote(label)}"
                )
            self.take(frame, prefix + label, span)
            scope = Scope(prefix + label, "branch", span, frame.scope)
            values.append(self.body(frame.inner(scope, sources[0]), body, sources[0]))
        self.enter(frame, sources[0])
        op = self.make(frame, Step(step.what, step.span, step.end))
        if op is None or any(value is None for value in values):
            return None
        known = [value for value in values if value is not None]
        shapes = [self.nodes[i].shape for i in known]
        try:
            shape = op.shape(*shapes)
        except ShapeError as error:
            explain_merge(self, frame, step, error, known, sources[0])
            return None
        if not self.fits(frame, step, shape):
            return None
        return self.add(
            op,
            name,
            tuple(known),
            shape,
            frame.scope,
            Step(step.what, step.span, step.end, row=step.row, reserved=step.reserved),
            frame,
        )

    def repeat(self, frame: Frame, step: Step, name: str, value: Value) -> Value:
        argument = step.arguments["times"]
        times = frame.evaluate(argument)
        if times is Broken:
            return None
        try:
            count = coerce("int", times)
        except ExprError as error:
            frame.fail(error.code, argument.span, f"`times`: {error.message}", error.help)
            return None
        if count < 0:
            frame.fail(
                "AS0205", frame.origin(argument).span, f"`times` is at least 0, found {count}"
            )
            return None
        if not self.nest(frame, step):
            return None
        counter = step.arguments.get("as")
        scope = Scope(name, "repeat", step.span, frame.scope)
        before = frame.env.get(counter.constant) if counter else None
        for i in range(count):
            args = {counter.constant: i} if counter else {}
            iteration = Scope(str(i), "repeat", step.span, scope, args=args)
            inside = frame.inner(iteration, value)
            inside.length += len(name) + 1
            frame.env.update(args)
            self.spend(inside, step, 8)
            value = self.body(inside, step.body or [], value)
            frame.names[f"{name}.{i}"] = value
        if counter:
            frame.env.pop(counter.constant, None)
            if before is not None:
                frame.env[counter.constant] = before
        return value

    def claimed(self, frame: Frame, step: Step, name: str, value: Value) -> Value:
        """Holds `output` against the shape; keeps the paper's figures for later."""
        for quantity, scalar in step.claims.items():
            path = f"{frame.scope.path}.{name}" if frame.scope.path else name
            self.claims.append(Claim(path, quantity, scalar.text, scalar.span))  # pyright: ignore[reportArgumentType]
        stated = step.reserved.get("output")
        if stated is None:
            return value
        wanted = frame.evaluate(stated)
        shape = claimed_shape(wanted)
        if shape is None:
            if wanted is not Broken:
                help = "write `28x28x256` as papers do, or [256, 28, 28], channels first"
                frame.fail(
                    "AS0204", stated.span, f"`output` is a shape, found {describe(wanted)}", help
                )
            return value
        if value is None:
            return self.add(Input(), name, (), shape, frame.scope, None, frame)
        if not answers(self.nodes[value].shape, shape):
            is_shape = self.nodes[value].shape
            message = f"{quote(name)} is said to give {format_shape(shape)}, and gives {format_shape(is_shape)}"
            frame.fail(
                "AS0303",
                stated.span,
                message,
                found=f"it is {format_shape(is_shape)}, channels first",
            )
            return self.add(Input(), name, (), shape, frame.scope, None, frame)
        return value
