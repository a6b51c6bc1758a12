"""Functions in the functional style: the names of values, loops, tables, and what train mode alone computes."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.codegen.call_location import CallLocation
from archspec.codegen.classes import form_classes
from archspec.codegen.constructor_args import resolve_class
from archspec.codegen.dialect import Dialect
from archspec.codegen.function_body import FunctionBody
from archspec.codegen.lowering import Arg, Lowered, Merge, Module
from archspec.codegen.names import RESERVED, identifier
from archspec.codegen.printer import BinOp, Call, Code, List
from archspec.codegen.schedule import train_only_outputs
from archspec.codegen.tree_builder import build_tree
from archspec.ir.op import Op
from archspec.ir.types import Shape
from tests.helpers.specs import checked

TEXT = """
archspec: 1
name: net
input: [4]
blocks:
  unit:
    args: {out: int, inner: int, more: int}
    body:
      - {name: one, linear: {out: $out}}
      - {name: two, linear: {out: $inner}}
      - {name: three, linear: {out: $more}}
  tail:
    body: [{linear: {out: 4}}]
network:
  - table:
      columns: [name, type, out, inner, more]
      rows:
        - [a, unit, 3, 20, 4]
        - [b, unit, 30, 2, 4]
  - {name: stack, repeat: {times: 3, body: [tanh]}}
  - {name: join, add: ~, from: [a, stack]}
heads:
  main: {}
  side: {block: tail, from: b, only: train}
"""


def lower(op: Op, *inputs: Shape) -> Lowered:
    if op.kind == "add":
        return Merge("+")
    return Module(op.kind, (Arg("out", getattr(op, "out", 0), "out", default=0, hint="out"),))


DIALECT = Dialect(
    lower=lower,
    reserved=frozenset({*RESERVED, "name"}),
    class_name=lambda text: identifier(text.lower(), digit="block"),
    number_prefix="_",
    sequential=lambda keyed: List(tuple(code for _, code in keyed)),
    numbered=List,
    module_list=List,
    portable_paths=True,
)


class Calls:
    def block_call(self, location: CallLocation, call: Call, operands: Sequence[str]) -> Call:
        values = (("", operand) for operand in operands)
        return Call(call.func, (*values, *call.args, ("name", location.path_code())))

    def layer_call(self, location: CallLocation, call: Call, operand: str, is_last: bool) -> Code:
        return self.block_call(location, call, [operand])

    def merge_call(self, location: CallLocation, merge: Merge, operands: Sequence[str]) -> Code:
        return BinOp(merge.operator, tuple(operands))


def bodies() -> dict[str, FunctionBody]:
    graph = checked(TEXT).graph
    functions = form_classes(
        graph, build_tree(graph, DIALECT), DIALECT, (), lambda cls: resolve_class(graph, cls)
    )
    return {
        cls.name: FunctionBody(
            cls,
            Calls(),
            ["name", *(cls.name for cls in functions)],
            network_input="inputs" if cls is functions[-1] else "",
            train_only=train_only_outputs(graph) if cls is functions[-1] else (),
        )
        for cls in functions
    }


def test_in_a_function_a_value_that_goes_on_is_x() -> None:
    assert bodies()["unit"].lines_with_return() == [
        '    x = linear(x, out, name=f"{name}.one")',
        '    x = linear(x, inner, name=f"{name}.two")',
        '    return linear(x, more, name=f"{name}.three")',
    ]


def test_a_network_has_tables_loops_and_names_for_values_that_are_read_again() -> None:
    body = bodies()["net"]
    assert body.lines(0, body.eval_count) == [
        "    # fmt: off",
        "    #                out  inner  more",
        '    a = unit(inputs,   3,    20,    4, name="a")',
        '    b = unit(a,       30,     2,    4, name="b")',
        "    # fmt: on",
        "    stack = b",
        "    for i in range(3):",
        '        stack = tanh(stack, name=f"stack.{i}.tanh")',
        "    x = a + stack",
    ]
    assert body.value_name(body.cls.example.outputs[0]) == "x"


def test_calls_of_train_mode_alone_come_last() -> None:
    body = bodies()["net"]
    body.lines(0, body.eval_count)
    lines = body.lines(body.eval_count, len(body.calls))
    assert [line.partition(" = ")[2] for line in lines] == ['linear(b, 4, name="side.linear")']
