"""The graph under construction: its nodes, where each was written, and the budget of the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from archspec.diagnostics import Note, Report, Span, quote
from archspec.frontend.cache import input_features, make_op, output_shape
from archspec.frontend.frame import Frame, Value
from archspec.frontend.influence import CHANNELS, ShapeInfluence, of_argument, of_output
from archspec.frontend.init_rules import read_init
from archspec.frontend.pydantic_errors import report_validation_error
from archspec.frontend.shapes import matches_claim, parse_shape
from archspec.frontend.size_changes import changes, channel_changes
from archspec.frontend.stated_inputs import StatedInputs
from archspec.frontend.step import POISON, Argument, Step
from archspec.ir.expr import Expr, describe
from archspec.ir.graph import Claim, Input, Node, Scope
from archspec.ir.op import Op, ShapeError
from archspec.ir.types import LIMIT, Shape, format_shape
from archspec.ops import OPS

MAX_LAYERS = 50_000
MAX_WORK = 2_000_000
"""Steps, arguments, operators and characters of paths that a spec may unroll to.

It bounds time and memory.
"""

Origin = tuple[Step, Frame]
"""The step that a node was written as, and the frame that it was elaborated in."""


class GraphBuilder:
    """Collects the nodes and claims of one network; `root` is the network's own scope.

    `influences` says of each node which arguments of the network its shape depends on; `decisive`
    are those on which the steps themselves depend.
    """

    def __init__(self, report: Report, root: Scope, inputs: StatedInputs) -> None:
        self.report = report
        self.root = root
        self.inputs = inputs
        self.legal_inputs: Callable[[], Sequence[Shape]] = lambda: ()
        """The nearest inputs at which no sizes clash, for whom an error tells of them."""
        self.nodes: list[Node] = []
        self.origins: list[Origin | None] = []
        self.claims: list[Claim] = []
        self.influences: list[ShapeInfluence] = []
        self.decisive: set[str] = set()
        self.work = 0
        self.max_work = MAX_WORK

    def charge(self, frame: Frame, step: Step, work: int) -> None:
        """Add a step's work and the length of its path; stop when the total is over `max_work`."""
        self.work += work + frame.path_length // 64
        if self.work > self.max_work:
            message = (
                f"the spec unrolls to more than {self.max_work:,} steps, arguments and operators"
            )
            self.report.stop("AS0701", step.span, message, help="repeat less")

    def bind_input(self, frame: Frame, value: Value) -> None:
        """Let `in` be the value that enters the step; unbind it while that is unknown."""
        if value is None:
            frame.env.pop("in", None)
        else:
            frame.env["in"] = input_features(self.nodes[value].shape)
            frame.influence[CHANNELS], frame.influence["in"] = self.influences[value]

    def decide(self, frame: Frame, argument: Argument) -> None:
        """Note that the steps themselves depend on this value."""
        self.decisive |= of_argument(argument, frame.influence)

    # Nodes

    def add_node(
        self,
        op: Op,
        name: str,
        inputs: tuple[int, ...],
        shape: Shape,
        scope: Scope,
        origin: Origin | None = None,
    ) -> int:
        """Append a node and return its index. The input and its stand-ins have no origin."""
        index = len(self.nodes)
        span = scope.span
        exprs: Mapping[str, Expr] = {}
        init: Mapping[str, Any] = {}
        is_row = False
        influence = ShapeInfluence()
        if origin is not None:
            step, frame = origin
            if self.root.args:
                entering = [self.influences[i] for i in inputs]
                influence = of_output(op, shape, step, frame.influence, entering)
            if index > MAX_LAYERS:
                message = f"the network has more than {MAX_LAYERS:,} layers"
                self.report.stop("AS0701", step.span, message, help="repeat less")
            span = step.span
            exprs = expressions(step)
            init = self._init(frame, step, op, inputs)
            is_row = step.is_row
        self.nodes.append(Node(index, name, op, inputs, shape, scope, span, exprs, init, is_row))
        self.origins.append(origin)
        self.influences.append(influence)
        return index

    def add_stand_in(self, frame: Frame, name: str, shape: Shape) -> int:
        """Append an input of that shape, for a step whose own output is unknown or wrong."""
        return self.add_node(Input(), name, (), shape, frame.scope)

    def add_op(self, frame: Frame, step: Step, name: str, inputs: list[Value]) -> Value:
        """Append the node of an op with one input; return None if it has an error."""
        op = self.make_op(frame, step)
        indices = [value for value in inputs if value is not None]
        if op is None or len(indices) < len(inputs):
            return None
        try:
            shape = output_shape(op, *(self.nodes[i].shape for i in indices))
        except ShapeError as error:
            self._report_shape_error(frame, step, error, indices)
            return None
        if not self.fits(frame, step, shape):
            return None
        return self.add_node(op, name, tuple(indices), shape, frame.scope, (step, frame))

    def fits(self, frame: Frame, step: Step, shape: Shape) -> bool:
        """Return True if no axis of an output exceeds the limit; report it if one does."""
        if max(shape) <= LIMIT:
            return True
        message = f"{quote(step.kind)} gives {format_shape(shape)}, an axis too large"
        frame.fail("AS0505", step.span, message, "sizes stay below 2**62")
        return False

    def make_op(self, frame: Frame, step: Step) -> Op | None:
        """Return the op of a step with its arguments' values; None if one has an error."""
        values = {key: frame.evaluate(argument) for key, argument in step.arguments.items()}
        if any(value is POISON for value in values.values()):
            return None
        op_class = OPS[step.kind]
        try:
            return make_op(op_class, values)
        except ValidationError as error:

            def span_of(path: tuple[Any, ...], key: bool) -> Span:
                argument = step.arguments.get(str(path[0])) if path else None
                if argument is None:
                    return step.span
                return argument.key_span if key else frame.origin(argument).span

            def fail(code: str, span: Span, message: str, help: str) -> None:
                frame.fail(code, span, message, help or _hint(frame, step, span))

            report_validation_error(error, op_class, step.kind, span_of, fail)
            return None

    def _report_shape_error(
        self, frame: Frame, step: Step, error: ShapeError, inputs: list[int]
    ) -> None:
        argument = step.arguments.get(error.field)
        span = frame.origin(argument).span if argument else step.span
        help = error.help
        notes: tuple[Note, ...] = ()
        label = ""
        if len(inputs) == 1:
            label = f"its input is {format_shape(self.nodes[inputs[0]].shape)}"
        if error.code == "AS0305":
            steps = channel_changes(changes(self, inputs[0], None))
            notes = tuple(step.channel_note(f"the value {step.name}") for step in steps[-1:])
        # A window or a crop that is too large: a larger input has larger maps.
        elif error.field in ("kernel", "size") and (legal := self.legal_inputs()):
            help += f", or use an input of {' or '.join(map(format_shape, legal))}"
        frame.fail(error.code, span, error.message, help, notes, label)

    def _init(self, frame: Frame, step: Step, op: Op, inputs: tuple[int, ...]) -> Mapping[str, Any]:
        argument = step.reserved.get("init")
        if argument is None:
            return {}
        shapes = [self.nodes[i].shape for i in inputs]
        return read_init(frame.evaluate(argument), argument, op, shapes, frame.fail)

    # The paper's figures and shapes

    def add_claims(self, frame: Frame, step: Step, name: str) -> None:
        """Keep the figures that a step states, to be compared with ours later."""
        for quantity, scalar in step.claims.items():
            claimed: Any = quantity  # the keys are those that a claim may have
            path = self._path(frame, name)
            self.claims.append(Claim(path, claimed, scalar.text, scalar.span))

    def _path(self, frame: Frame, name: str) -> str:
        return f"{frame.scope.path}.{name}" if frame.scope.path else name

    def check_output(self, frame: Frame, step: Step, name: str, value: Value) -> Value:
        """Compare a step's shape with its `output`, and return the value that the next step reads.

        That is a stand-in of the stated shape where the step's own is unknown or differs, so that
        one run finds the errors on both sides. An output for another input is no stand-in.
        """
        argument = step.reserved.get("output")
        if argument is None:
            return value
        stated = frame.evaluate(argument)
        shape = parse_shape(stated)
        if shape is None:
            self._report_no_shape(frame, argument, stated)
            return value
        if self.inputs.ignored:
            return value
        other = self.inputs.other_input(argument)
        if other is not None and not self.inputs.check_outputs:
            self.inputs.skip(argument, self._path(frame, name))
            return value
        if other is not None and value is None:
            return None
        if value is None:
            return self.add_stand_in(frame, name, shape)
        actual = self.nodes[value].shape
        if matches_claim(actual, shape):
            return value
        message = (
            f"{quote(name)} declares {format_shape(shape)} but produces {format_shape(actual)}"
        )
        label = f"it is {format_shape(actual)}, channels first"
        help = f"it is stated for an input of {format_shape(other)}" if other else ""
        frame.fail("AS0303", argument.span, message, help, label=label)
        return value if other else self.add_stand_in(frame, name, shape)

    def _report_no_shape(self, frame: Frame, argument: Argument, stated: Any) -> None:
        if stated is POISON:
            return
        message = f"`output` is a shape, found {describe(stated)}"
        help = "write `28x28x256` as papers do, or [256, 28, 28], channels first"
        frame.fail("AS0204", argument.span, message, help)


def expressions(step: Step) -> dict[str, Expr]:
    """Return the arguments of a step that are given as expressions."""
    return {key: arg.expr for key, arg in step.arguments.items() if arg.expr is not None}


def _hint(frame: Frame, step: Step, span: Span) -> str:
    """Return the hint of the argument whose value was written at `span`."""
    written = map(frame.origin, step.arguments.values())
    return next((argument.hint for argument in written if argument.span == span), "")
