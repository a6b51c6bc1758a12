"""Random fields that an op accepts, inputs for it, and the ops by the ranks that they take.

>>> make_op("max_pool", {"kernel": 9}, (4, 8, 8)) is None
True
>>> make_op("max_pool", {"kernel": 3, "rounding": "ceil"}, (4, 8, 8)).rounding
'ceil'
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from archspec._numpy import Array, np
from archspec.conformance.fields import ValueLimits, required, schema, values
from archspec.ir.op import Op, ShapeError
from archspec.ir.types import Shape, parse_size
from archspec.ops import OPS

Fields = Mapping[str, Any]


def make_op(kind: str, fields: Fields, *inputs: Shape) -> Op | None:
    """Return the op with these fields, or None if it is invalid or does not take these inputs."""
    try:
        op = OPS[kind].model_validate(dict(fields))
        op.shape(*inputs)
    except (ValidationError, ShapeError):
        return None
    return op


@st.composite
def drawn_fields(draw: st.DrawFn, kind: str, shape: Shape) -> dict[str, Any]:
    """Draw fields for an op on an input of that shape; the op accepts most of them.

    Fields with a default may be absent.
    """
    fields: dict[str, Any] = {}
    names = sorted(schema(kind), key=lambda name: name not in _FIRST)
    # Several fields that are nothing by default are alternatives as a rule, as size and scale are.
    others = [name for name in names if schema(kind)[name].get("default", 0) is None]
    chosen = draw(st.sampled_from(others)) if len(others) > 1 and draw(st.integers(0, 2)) else None
    for name in names:
        if chosen is not None and name in others and name != chosen:
            continue
        if (
            name in required(kind)
            or name == chosen
            or draw(st.sampled_from((False, True, True, True)))
        ):
            steered = _STEERED.get(name)
            strategy = (
                steered(shape, fields)
                if steered
                else values(schema(kind)[name], _room(name, shape, fields))
            )
            fields[name] = draw(strategy)
    return fields


def op_values(kind: str, *inputs: Shape) -> st.SearchStrategy[dict[str, Any]]:
    """Draw fields, as YAML data, with which the op takes these inputs."""
    return drawn_fields(kind, inputs[0]).filter(
        lambda fields: make_op(kind, fields, *inputs) is not None
    )


# Names of fields whose values have to fit the input; others are drawn from their schema alone.

_FIRST = ("groups", "kernel")


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


@st.composite
def _factors(draw: st.DrawFn, count: int) -> list[int]:
    """Draw whole numbers whose product is `count`; one may be -1, for the rest."""
    sizes: list[int] = []
    for _ in range(draw(st.integers(0, 3))):
        sizes.append(draw(st.sampled_from(_divisors(count))))
        count //= sizes[-1]
    sizes.append(count)
    if draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    return sizes


_STEERED: Mapping[str, Callable[[Shape, Fields], st.SearchStrategy[Any]]] = {
    "groups": lambda shape, fields: st.sampled_from(_divisors(shape[0])),
    "out": lambda shape, fields: st.integers(1, 3).map(lambda n: n * fields.get("groups", 1)),
    "to": lambda shape, fields: _factors(math.prod(shape)),
}


def _room(name: str, shape: Shape, fields: Fields) -> ValueLimits:
    axes = shape[1:] or (1,)
    kernel = parse_size(fields.get("kernel", 3))
    largest = {
        "kernel": min(*axes, 3),
        "padding": max(min(kernel) - 1, 1),
        "size": min(axes) + 1,
    }.get(name, 2)
    return ValueLimits(len(shape) - 1, largest)


# Which ops take which inputs.

MAX_RANK = 3


@cache
def takes_rank(kind: str, rank: int) -> bool:
    """Tell whether an op can take a value of that many spatial axes; 0 is a vector."""
    shape = (4, 6, 5, 6)[: rank + 1]
    return next(iter(simple_fields(kind, shape)), None) is not None


def simple_fields(kind: str, shape: Shape) -> Iterator[dict[str, Any]]:
    """Yield simple fields that an op takes on that shape, those with the fewest fields first."""
    choices = [
        [None] * (name not in required(kind)) + _simplest(name, field, shape)
        for name, field in schema(kind).items()
    ]
    for chosen in itertools.islice(itertools.product(*choices), 1000):
        fields = {
            name: value
            for name, value in zip(schema(kind), chosen, strict=True)
            if value is not None
        }
        if make_op(kind, fields, *(shape,) * (2 if OPS[kind].variadic else 1)) is not None:
            yield fields


def _simplest(name: str, field: Mapping[str, Any], shape: Shape) -> list[Any]:
    """Return a few values of a field, one of which fits almost any input."""
    if name == "to":
        return [[math.prod(shape)]]
    if "anyOf" in field:
        return _simplest(name, field["anyOf"][0], shape)
    if "enum" in field:
        return list(field["enum"])
    number = field.get("minimum", 0.5)
    return {
        "integer": [number or 1],
        "number": [number],
        "boolean": [False],
        "array": [[number]],
    }.get(field["type"], [])


def kinds(rank: int, *, many: bool = False) -> list[str]:
    """Return the names of the ops that take values of that rank: merges, or all others."""
    return [kind for kind, op in OPS.items() if op.variadic == many and takes_rank(kind, rank)]


_SIZES = ((), (6, 9, 5, 12, 2, 1), (5, 6, 4, 7, 3, 1), (3, 4, 2, 1))


def shapes(*ranks: int) -> st.SearchStrategy[Shape]:
    """Draw shapes with so many spatial axes.

    They are small enough for the reference, and their channels can be divided into groups.
    """
    channels = st.sampled_from((4, 6, 3, 8, 2, 1))
    sizes = [
        st.tuples(channels, *(st.sampled_from(_SIZES[rank]),) * rank)
        for rank in ranks or range(MAX_RANK + 1)
    ]
    return st.one_of(sizes)


def inputs(shape: Shape, *, batch: int | None = None) -> st.SearchStrategy[Array]:
    """Draw a batch [N, *shape] of float64: distinct values between -5 and 7.

    None lies within 0.1 of a whole number. So no two values tie for the largest, no activation
    has its kink at one, and all derivatives exist.
    """
    count = st.integers(2, 3) if batch is None else st.just(batch)
    return st.tuples(count, st.integers(0, 2**32 - 1)).map(
        lambda drawn: spread((drawn[0], *shape), drawn[1])
    )


def spread(shape: Shape, seed: int) -> Array:
    """Return values as `inputs` draws them, from a seed."""
    size = math.prod(shape)
    grid = 12 * (np.arange(size) + 0.5) / size
    whole = np.floor(grid)
    values = whole - 5 + 0.1 + 0.8 * (grid - whole)
    return np.random.default_rng(seed).permutation(values).reshape(shape)
