"""Random specs: blocks, branches, tables, expressions, repeats, skips and heads around any op.

>>> from hypothesis import given, settings
>>> @settings(max_examples=5, database=None)
... @given(specs())
... def test_every_network_has_a_main_output(spec):
...     assert spec.text.startswith("archspec: 1\\nname:") and "main" in spec.outputs
>>> test_every_network_has_a_main_output()
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from archspec.conformance.builder import BuildScope, SpecBuilder
from archspec.conformance.expressions import SpelledValue
from archspec.conformance.fields import ValueLimits, values
from archspec.conformance.ops import shapes
from archspec.conformance.spec_ast import (
    HeadNode,
    Interpreter,
    InvalidSpec,
    ShapeFrame,
    StepNode,
    body_data,
)
from archspec.frontend.yaml_writer import yaml_text
from archspec.ir.document import HeadSection
from archspec.ir.types import Shape
from archspec.ops import OPS


@dataclass(frozen=True)
class GeneratedSpec:
    """A spec's text and what it has to mean.

    `layers` are in order, as kind and output shape; `outputs` are the shapes of its heads.
    """

    text: str
    input: Shape
    layers: tuple[tuple[str, Shape], ...]
    outputs: Mapping[str, Shape]
    train_only: frozenset[str]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print a failing example for hypothesis: the spec's text."""
        printer.text(f"\n{self.text}")


@st.composite
def specs(
    draw: st.DrawFn, ranks: tuple[int, ...] = (2, 1, 3, 0), known: Collection[str] = OPS.keys()
) -> GeneratedSpec:
    """Draw a valid spec of the `known` ops, for an input with as many spatial axes."""
    shape = draw(shapes(*ranks))
    builder = SpecBuilder(draw, known)
    steps, heads = _network(builder, shape)
    heads = dict(draw(st.permutations(list(heads.items()))))
    run = Interpreter(builder.blocks, builder.args, heads)
    main = run.network(steps, shape)
    outside = BuildScope(ShapeFrame({}, ChainMap()), lifts=builder.args, root=True)
    stated = [builder.spell(outside, size, dict(builder.args)) for size in shape]
    forms = {name: head.form for name, head in heads.items()}
    if draw(st.booleans()):
        forms["main"] = _form(builder, main)
    network: Any = body_data(steps)
    if len(network) == 1 and "table" in network[0]:
        network = network[0]
    data: dict[str, Any] = {
        "archspec": 1,
        "name": draw(st.sampled_from(("net", "A net", "net-1/2 #3"))),
        "input": [size.text for size in stated],
        "args": builder.args,
        "blocks": {name: block.data() for name, block in builder.blocks.items()},
        "network": network,
        "heads": forms,
    }
    text = yaml_text({key: part for key, part in data.items() if part or key == "network"})
    only = frozenset(name for name, form in forms.items() if form.get("only"))
    return GeneratedSpec(text, shape, tuple(run.trace), run.outputs, only)


def _network(builder: SpecBuilder, shape: Shape) -> tuple[list[StepNode], dict[str, HeadNode]]:
    """Draw the network's body, with heads on some of its steps."""
    scope = BuildScope(
        ShapeFrame(dict(builder.args), ChainMap({"input": shape})), lifts=builder.args, root=True
    )
    steps: list[StepNode] = []
    heads: dict[str, HeadNode] = {}
    start = shape
    for _ in range(builder.draw(st.integers(4, 9))):
        drawn = builder.step(scope, shape)
        if drawn is None:
            continue
        step, result = drawn
        head = _head(builder, step, result, len(heads)) if "when" not in step.reserved else {}
        try:
            Interpreter(builder.blocks, builder.args, {**heads, **head}).network(
                [*steps, step], start
            )
        except InvalidSpec:  # too large together
            break
        steps.append(step)
        heads.update(head)
        shape = result
        if builder.draw(st.integers(0, 3)) == 0:
            step.reserved["output"] = SpelledValue.plain(_claim(builder, result))
    assume(steps)
    builder.mark_tables(steps)
    return steps, heads


def _claim(builder: SpecBuilder, shape: Shape) -> Any:
    """Draw a way to state a shape under `output`: 8x8x64 as papers do, or [64, 8, 8]."""
    return (
        "x".join(map(str, (*shape[1:], shape[0]))) if builder.draw(st.booleans()) else list(shape)
    )


HEADS = ("aux{0}", "side head {0}", "#{0} head")


def _head(builder: SpecBuilder, step: StepNode, shape: Shape, count: int) -> dict[str, HeadNode]:
    """Draw a head on a step, or none: with a block or without, in train mode alone or always."""
    if count == 2 or not builder.once_in(4):
        return {}
    block = (
        builder.new_block(BuildScope(ShapeFrame({}, ChainMap())), shape, defaults=True)
        if builder.draw(st.booleans())
        else None
    )
    try:
        head_shape = (
            Interpreter(builder.blocks, builder.args).block(
                block, {}, ShapeFrame({}, ChainMap()), shape
            )
            if block
            else shape
        )
    except InvalidSpec:
        return {}
    name = builder.fresh(HEADS)
    form = _form(builder, head_shape)
    if builder.draw(st.booleans()):
        form["only"] = "train"
    if block:
        form["block"] = block
    here = step.reserved.get("name")
    if here and "$" not in here.text and builder.draw(st.booleans()):
        form["from"] = here.text
    else:
        step.reserved["aux"] = SpelledValue.plain(name)
    return {name: HeadNode(form, step, block)}


def _form(builder: SpecBuilder, shape: Shape) -> dict[str, Any]:
    """Draw how a head is trained; it states as many classes as its output is wide."""
    fields = HeadSection.model_json_schema()["properties"]
    return {
        "classes": shape[0],
        **{name: builder.draw(values(fields[name], ValueLimits())) for name in ("loss", "weight")},
    }
