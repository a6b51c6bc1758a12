"""What holds for every op that users load."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import pytest
from pydantic import ValidationError

from archspec.ir.op import Op, ShapeError
from archspec.ops import FAMILIES, OPS

EXAMPLES: dict[str, dict[str, Any]] = {  # the fields without a default, and no others
    "conv": {"out": 8, "kernel": 3},
    "conv_transpose": {"out": 8, "kernel": 3},
    "linear": {"out": 8},
    "max_pool": {"kernel": 3},
    "avg_pool": {"kernel": 3},
    "adaptive_avg_pool": {"size": 2},
    "adaptive_max_pool": {"size": 2},
    "group_norm": {"groups": 2},
    "lrn": {"size": 3},
    "dropout": {"rate": 0.5},
    "reshape": {"to": [-1]},
    "channel_shuffle": {"groups": 2},
    "pad": {"padding": 1},
    "crop": {"size": 2},
    "resize": {"size": 2, "mode": "nearest", "coordinates": "asymmetric"},
}
FLOATS = [
    (kind, name)
    for kind, op in OPS.items()
    for name, field in op.model_fields.items()
    if field.annotation is float
]


def test_names_are_unique_and_families_are_files() -> None:
    ops = [op for family in FAMILIES for op in family.OPS]
    assert len(ops) == len(OPS) == len({op.kind for op in ops})
    for family in FAMILIES:
        assert {op.family for op in family.OPS} == {family.__name__.rpartition(".")[2]}


@pytest.mark.parametrize("kind", OPS)
def test_documented(kind: str) -> None:
    op = OPS[kind]
    assert op.__doc__ is not None
    assert f">>> {op.__name__}(" in op.__doc__ or f"in {op.__name__}(" in op.__doc__
    for name, field in op.model_fields.items():
        assert field.description, f"{kind}.{name} has no description"
        assert field.description.endswith("."), f"{kind}.{name}"


@pytest.mark.parametrize("kind", OPS)
def test_required_fields_are_those_of_the_examples(kind: str) -> None:
    op = OPS[kind].model_validate(EXAMPLES.get(kind, {}))
    assert hash(op) == hash(OPS[kind].model_validate(EXAMPLES.get(kind, {})))
    required = {name for name, field in OPS[kind].model_fields.items() if field.is_required()}
    assert required <= set(EXAMPLES.get(kind, {}))
    for name in required:
        with pytest.raises(ValidationError):
            OPS[kind].model_validate({k: v for k, v in EXAMPLES[kind].items() if k != name})
    with pytest.raises(ValidationError):
        OPS[kind].model_validate({**EXAMPLES.get(kind, {}), "no_such_field": 1})


@pytest.mark.parametrize(("kind", "name"), FLOATS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1", True, 10**400], ids=repr)
def test_float_fields_take_finite_numbers_only(kind: str, name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        OPS[kind].model_validate({**EXAMPLES.get(kind, {}), name: value})


def test_float_fields_are_found() -> None:
    assert {
        ("batch_norm", "eps"),
        ("dropout", "rate"),
        ("leaky_relu", "slope"),
        ("pad", "value"),
    } <= set(FLOATS)


def ops_with_numbers(number: int) -> list[Op]:
    """Every op with each whole number among its example's fields replaced by a large one."""
    found: list[Op] = []
    for kind, op in OPS.items():
        fields = EXAMPLES.get(kind, {})
        found.append(op.model_validate(fields))
        whole = [name for name, value in fields.items() if isinstance(value, int) and kind != "lrn"]
        more = {"padding", "output_padding", "dilation"} & set(op.model_fields)
        found += [op.model_validate({**fields, name: number}) for name in (*whole, *more)]
    return found


@pytest.mark.parametrize(
    "shape", [(2**60,), (10**12, 10**9), (10**12, 10**6, 10**6), (4, 2, 2, 2)], ids=str
)
def test_nothing_is_allocated_for_what_is_mentioned(shape: tuple[int, ...]) -> None:
    accepted = 0
    for op in ops_with_numbers(10**12):
        inputs = (shape, shape) if op.variadic else (shape,)
        tracemalloc.start()
        try:
            op.shape(*inputs)
        except ShapeError:
            continue
        else:
            for declared in (op.params, op.macs, op.window):
                declared(*inputs)
            accepted += 1
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 100_000, op
    assert accepted > 10
