"""The shape of one sample, as `input` states it: channels first, without the batch axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from archspec.diagnostics import Report, Span
from archspec.frontend.argument_parser import ArgumentParser, evaluate
from archspec.frontend.arguments import coerce
from archspec.frontend.step import POISON, Argument
from archspec.frontend.tree import Tree, YamlList, YamlMap, describe_tree, is_null
from archspec.ir.expr import ExprError
from archspec.ir.types import Shape

AXES = "C, C,L, C,H,W or C,D,H,W: channels first, no batch axis"
IMAGE_CHANNELS = (1, 3)
MIN_IMAGE_SIDE = 8
"""The least height and width at which axes are taken for those of an image."""


def read_input(
    tree: YamlMap, parser: ArgumentParser, values: Mapping[str, Any]
) -> tuple[Shape | None, frozenset[str]]:
    """Return the shape that a spec's `input` states and the arguments that it reads.

    The shape is None where it is missing or has an error, which is reported.
    """
    stated = tree.get("input")
    if stated is None or is_null(stated):
        return None, frozenset()
    argument = parser.argument(tree.key("input").span, stated, parser.globals)
    shape = _shape(argument, stated, values, parser.report)
    if shape is not None:
        _warn_of_layout(shape, stated.span, parser.report)
    return shape, argument.names_read()


def _shape(
    argument: Argument, stated: Tree, values: Mapping[str, Any], report: Report
) -> Shape | None:
    value = evaluate(argument, values, report)
    if value is POISON:
        return None
    sizes: list[Any] = cast("list[Any]", value) if isinstance(value, list) else []
    if not isinstance(stated, YamlList) or not 1 <= len(sizes) <= 4:
        description = describe_tree(stated)
        message = f"`input` is one sample's shape, as in [3, 224, 224], found {description}"
        report.error("AS0204", stated.span, message, help=AXES)
        return None
    axes = [
        _axis(size, item.span, report, is_first=index == 0)
        for index, (size, item) in enumerate(zip(sizes, stated.items, strict=True))
    ]
    shape = tuple(axis for axis in axes if axis is not None)
    return shape if len(shape) == len(axes) else None


def _axis(size: Any, span: Span, report: Report, *, is_first: bool) -> int | None:
    # Frameworks write a batch of any size so.
    if is_first and size in (None, -1):
        message = "an input has no batch axis: every model takes any batch size"
        report.error("AS0205", span, message, help=f"leave it out; {AXES}")
        return None
    try:
        axis: int = coerce("int", size)
    except ExprError as error:
        report.error(error.code, span, f"an axis of the input: {error.message}", help=error.help)
        return None
    if axis < 1:
        report.error("AS0205", span, f"an axis of the input is at least 1, found {size}")
        return None
    return axis


def _warn_of_layout(shape: Shape, span: Span, report: Report) -> None:
    """AS0676: warn of axes that are those of a batch of images, or of one with channels last."""
    if len(shape) == 4 and shape[1] in IMAGE_CHANNELS and min(shape[2:]) >= MIN_IMAGE_SIDE:
        message = f"`input` is a volume of {shape[0]} channels that is {shape[1]} deep"
        image = ", ".join(map(str, shape[1:]))
        help = f"of a batch of images, state one sample without the batch axis: [{image}]"
        report.warning("AS0676", span, message, help=help)
    elif len(shape) == 3 and shape[2] in IMAGE_CHANNELS and min(shape[:2]) >= MIN_IMAGE_SIDE:
        message = f"`input` is an image of {shape[0]} channels that is {shape[2]} wide"
        image = ", ".join(map(str, (shape[2], *shape[:2])))
        help = f"of an image with channels last, state the channels first: [{image}]"
        report.warning("AS0676", span, message, help=help)
