"""Elaboration: from bodies to a graph.

Every argument gets its value, every step its shape, every layer its path. A step that fails yields
an unknown value, and the steps that read it stay silent. A stated `output` makes the value known
again, so that one run finds the errors on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from archspec.diagnostics import Note, Report, Span, did_you_mean, quote
from archspec.frontend.arguments import coerce
from archspec.frontend.frame import Frame, Value
from archspec.frontend.graph_builder import GraphBuilder, expressions
from archspec.frontend.heads import Heads
from archspec.frontend.influence import NOTHING, ShapeInfluence, of_argument
from archspec.frontend.merge_errors import report_merge_error
from archspec.frontend.stated_inputs import StatedInputs
from archspec.frontend.step import POISON, Argument, Block, Body, Parameter, Step
from archspec.ir.expr import ExprError, describe
from archspec.ir.graph import Input, Scope, ScopeKind
from archspec.ir.op import ShapeError
from archspec.ir.types import Shape
from archspec.ops import OPS


class Elaborator:
    """Elaborates the bodies of one network into a `GraphBuilder`."""

    def __init__(
        self,
        report: Report,
        blocks: Mapping[str, Block],
        root: Scope,
        heads: Heads,
        inputs: StatedInputs,
    ) -> None:
        self.graph = GraphBuilder(report, root, inputs)
        self.blocks = blocks
        self.heads = heads
        self.row_unknown = False
        """True once a row is so malformed that any unattached head may belong to it."""

    def network(
        self, body: Body, shape: Shape | None, shape_reads: frozenset[str] = NOTHING
    ) -> tuple[Frame, Value]:
        """Elaborate the network's body; return its frame, with the steps by name, and its value.

        `shape_reads` are the arguments that the input's shape depends on.
        """
        root = self.graph.root
        entry = self.graph.add_node(Input(), "input", (), shape, root) if shape else None
        if entry is not None:
            self.graph.influences[entry] = ShapeInfluence(shape_reads, shape_reads)
        frame = Frame(self.graph.report, root, dict(root.args), entry)
        frame.influence.update({name: frozenset({name}) for name in root.args})
        frame.names["input"] = entry
        return frame, self.body(frame, body, entry)

    def head(self, frame: Frame, name: str, block: str, value: Value, span: Span) -> Value:
        """Instantiate a head's block on a value."""
        frame.declare(name, span)
        self.graph.bind_input(frame, value)
        return self.block(frame, Step(block, span, span), name, value, "head")

    def body(self, frame: Frame, steps: Body, value: Value) -> Value:
        for step in steps:
            value = self.step(frame, step, value)
        return value

    def step(self, frame: Frame, step: Step, value: Value) -> Value:
        """Elaborate one step on the value before it, with the keys that stand beside its op."""
        self.graph.charge(frame, step, step.cost)
        self.graph.bind_input(frame, value)
        stated = step.reserved.get("name")
        # A default name is taken before `when` is read: a step left out keeps its number.
        name = frame.number(step) if stated is None else ""
        if not self.is_present(frame, step):
            return value
        if not name:
            name = frame.stated_name(step)
            self.graph.decide(frame, step.reserved["name"])
        frame.declare(name, step.span if stated is None else stated.span)
        sources = self.sources(frame, step, value)
        self.check_init(frame, step)
        result = self.operation(frame, step, name, sources)
        self.graph.bind_input(frame, sources[0])
        self.graph.add_claims(frame, step, name)
        result = self.graph.check_output(frame, step, name, result)
        frame.names[name] = result
        self.attach_heads(frame, step, name, result)
        return result

    def operation(self, frame: Frame, step: Step, name: str, sources: list[Value]) -> Value:
        """Elaborate the op, block, merge or repeat of a step."""
        if step.invalid:
            self.row_unknown |= step.is_row and not step.kind
            return None
        if step.kind == "repeat":
            return self.repeat(frame, step, name, sources[0])
        if step.kind in self.blocks:
            return self.block(frame, step, name, sources[0])
        if OPS[step.kind].variadic:
            return self.merge(frame, step, name, sources)
        return self.graph.add_op(frame, step, name, sources[:1])

    # Keys of a step

    def is_present(self, frame: Frame, step: Step) -> bool:
        """Return False if `when` leaves the step out."""
        argument = step.reserved.get("when")
        if argument is None:
            return True
        condition = frame.evaluate(argument)
        self.graph.decide(frame, argument)
        if not isinstance(condition, bool) and condition is not POISON:
            message = f"`when` is true or false, found {describe(condition)}"
            frame.fail("AS0506", argument.span, message)
        return condition is not False

    def sources(self, frame: Frame, step: Step, value: Value) -> list[Value]:
        """Return the values that enter: those that `from` names, or else the one before.

        The first of them is bound to `in`.
        """
        argument = step.reserved.get("from")
        if argument is None:
            return [value]
        stated = frame.evaluate(argument)
        self.graph.decide(frame, argument)
        names = cast("list[Any]", stated) if isinstance(stated, list) else [stated]
        items = [argument] * len(names)
        if isinstance(argument.items, list):
            items = argument.items
        names = self.check_source_count(frame, step, argument, names)
        values: list[Value] = []
        for name, item in zip(names, items, strict=False):
            if name is not POISON:
                self.check_source(frame, name, item)
            values.append(frame.names.get(str(name)))
        self.graph.bind_input(frame, values[0] if values else None)
        return values or [None]

    def check_source_count(
        self, frame: Frame, step: Step, argument: Argument, names: list[Any]
    ) -> list[Any]:
        """Return as many of the names under `from` as the step reads; report a wrong count."""
        is_join = step.kind in OPS and OPS[step.kind].variadic and step.branches is None
        if len(names) > 1 and not is_join:
            message = f"{quote(step.kind)} takes one value, `from` names {len(names)}"
            frame.fail("AS0204", argument.span, message)
            return names[:1]
        if is_join and len(names) < 2 and names != [POISON]:
            message = f"{quote(step.kind)} joins two values or more, `from` names {len(names)}"
            frame.fail("AS0311", argument.span, message)
        return names

    def check_source(self, frame: Frame, name: Any, item: Argument) -> None:
        """Report a name under `from` that no earlier step has."""
        if isinstance(name, str | int) and str(name) in frame.names:
            return
        earlier = [other for other in frame.names if other != "input"]
        help = did_you_mean(str(name), earlier, "earlier steps")
        message = f"`from` names {quote(name)}, and no earlier step has that name"
        frame.fail("AS0402", item.span, message, help)

    def check_init(self, frame: Frame, step: Step) -> None:
        """Report an `init` at a step that is not an op."""
        argument = step.reserved.get("init")
        if argument is not None and step.kind not in OPS and not step.invalid:
            message = f"`init` belongs to an op, and {quote(step.kind)} is not one"
            frame.fail("AS0202", argument.key_span, message, "state it at the op inside")

    def attach_heads(self, frame: Frame, step: Step, name: str, value: Value) -> None:
        """Attach the head that `aux` names, and those that name this step under `from`."""
        is_root = frame.scope is self.graph.root
        argument = step.reserved.get("aux")
        if argument is not None:
            head = frame.evaluate(argument)
            self.graph.decide(frame, argument)
            if not is_root:
                message = "a head attaches to a step of the network itself"
                frame.fail("AS0405", argument.span, message, "use `aux` outside blocks")
            elif isinstance(head, str):
                self.heads.attach(frame, head, value, argument.span, self.head)
            elif head is not POISON:
                message = f"`aux` names a head, found {describe(head)}"
                frame.fail("AS0204", argument.span, message)
        if is_root:
            self.heads.attach_pending(frame, name, value, self.head)

    # Steps with bodies

    def block(
        self, frame: Frame, step: Step, name: str, value: Value, kind: ScopeKind = "block"
    ) -> Value:
        """Instantiate a block: its body, with the step's arguments as its own."""
        if not frame.can_nest(step):
            return None
        block = self.blocks[step.kind]
        self.graph.charge(frame, step, block.cost)
        callee = Frame(self.graph.report, frame.scope, dict(self.graph.root.args), None)
        callee.influence.update({name: frozenset({name}) for name in self.graph.root.args})
        # Not a generator in `all`: every argument at fault is reported.
        bound = [self.bind(frame, step, name, callee, p) for p in block.parameters.values()]
        if not all(bound):
            return None
        args = {key: callee.env[key] for key in block.parameters}
        scope = Scope(
            name,
            kind,
            step.span,
            frame.scope,
            step.kind,
            args,
            expressions(step),
            step.is_row,
            block.doc,
            {k: e for k, e in block.default_exprs.items() if k not in step.arguments},
        )
        inside = frame.block_frame(
            scope, value, callee.env, callee.influence, block.parameters, step
        )
        return self.body(inside, block.body, value)

    def bind(
        self, frame: Frame, step: Step, name: str, callee: Frame, parameter: Parameter
    ) -> bool:
        """Put an argument's value into the environment of a block; False if it has an error."""
        passed = step.arguments.get(parameter.name)
        argument = passed or parameter.default
        if argument is None:
            message = (
                f"{quote(name)} gives no {quote(parameter.name)}, which {quote(step.kind)} needs"
            )
            notes = (Note(f"{parameter.name} is declared", parameter.span),)
            frame.fail("AS0207", step.end if step.is_row else step.span, message, notes=notes)
            return False
        # A default sees the arguments before it, and none of the caller's.
        written_in = callee if passed is None else frame
        value = written_in.evaluate(argument)
        if self.graph.root.args:
            callee.influence[parameter.name] = of_argument(argument, written_in.influence)
        if value is not POISON:
            try:
                value = coerce(parameter.type, value)
            except ExprError as error:
                message = f"{quote(parameter.name)}: {error.message}"
                help = error.help or argument.hint
                frame.fail(error.code, frame.origin(argument).span, message, help)
                value = POISON
        callee.env[parameter.name] = value
        return value is not POISON

    def merge(self, frame: Frame, step: Step, name: str, sources: list[Value]) -> Value:
        """Elaborate the branches of a merge, then join them, or join the values under `from`."""
        if not frame.can_nest(step):
            return None
        entry = sources[0]
        values = sources if step.branches is None else self.branches(frame, step, name, entry)
        self.graph.bind_input(frame, entry)
        op = self.graph.make_op(frame, Step(step.kind, step.span, step.end))
        indices = [value for value in values if value is not None]
        if op is None or len(indices) < len(values):
            return None
        try:
            shape = op.shape(*(self.graph.nodes[i].shape for i in indices))
        except ShapeError as error:
            report_merge_error(self.graph, frame, step, error, indices, entry)
            return None
        if not self.graph.fits(frame, step, shape):
            return None
        # The branches are nodes of their own: the join keeps only the keys beside them.
        join = Step(step.kind, step.span, step.end, is_row=step.is_row, reserved=step.reserved)
        return self.graph.add_node(op, name, tuple(indices), shape, frame.scope, (join, frame))

    def branches(self, frame: Frame, step: Step, name: str, entry: Value) -> list[Value]:
        """Elaborate each branch on the value that enters the merge; return their values."""
        values: list[Value] = []
        prefix = f"{name}_" if "name" in step.reserved else ""
        for label, (span, body) in (step.branches or {}).items():
            if not label.strip() or "." in label:
                message = f"a branch's name is a text without dots, found {quote(label)}"
                frame.fail("AS0210", span, message)
            frame.declare(prefix + label, span)
            scope = Scope(prefix + label, "branch", span, frame.scope)
            values.append(self.body(frame.child(scope, entry), body, entry))
        return values

    def repeat(self, frame: Frame, step: Step, name: str, value: Value) -> Value:
        """Elaborate a body several times, each time on the value of the iteration before."""
        count = self.iterations(frame, step)
        if count is None or not frame.can_nest(step):
            return None
        counter = step.arguments["as"].constant if "as" in step.arguments else None
        outer = frame.env.get(counter) if counter else None
        outer_influence = frame.influence.get(counter, NOTHING) if counter else NOTHING
        scope = Scope(name, "repeat", step.span, frame.scope)
        for i in range(count):
            args = {counter: i} if counter else {}
            iteration = Scope(str(i), "repeat", step.span, scope, args=args)
            inside = frame.child(iteration, value)
            inside.path_length += len(name) + 1
            frame.env.update(args)
            frame.influence.update(dict.fromkeys(args, NOTHING))
            self.graph.charge(inside, step, 8)
            value = self.body(inside, step.body or [], value)
            frame.names[f"{name}.{i}"] = value
        if counter:
            frame.env.pop(counter, None)
            if outer is not None:
                frame.env[counter] = outer
                frame.influence[counter] = outer_influence
        return value

    def iterations(self, frame: Frame, step: Step) -> int | None:
        """Return the value of `times`; None if it has an error, which is reported."""
        argument = step.arguments["times"]
        times = frame.evaluate(argument)
        self.graph.decide(frame, argument)
        if times is POISON:
            return None
        try:
            count: int = coerce("int", times)
        except ExprError as error:
            frame.fail(error.code, argument.span, f"`times`: {error.message}", error.help)
            return None
        if count < 0:
            message = f"`times` is at least 0, found {count}"
            frame.fail("AS0205", frame.origin(argument).span, message)
            return None
        return count
