"""A step's own `init`: how the tensors of its op start, by role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from archspec.diagnostics import Span, did_you_mean, quote
from archspec.frontend.pydantic_errors import expected
from archspec.frontend.step import Argument, Broken
from archspec.ir.document import Init, Initializer
from archspec.ir.expr import describe
from archspec.ir.op import Op
from archspec.ir.types import Shape

_RULE: TypeAdapter[str | float | Initializer] = TypeAdapter(
    Init, config=ConfigDict(strict=True, defer_build=True, allow_inf_nan=False)
)


def read_init(
    value: Any,
    argument: Argument,
    op: Op,
    inputs: Sequence[Shape],
    fail: Callable[[str, Span, str, str], None],
) -> Mapping[str, Any]:
    """The rules by role; what is none, or names a tensor that the op does not have, is reported."""
    if value is Broken:
        return {}
    if not isinstance(value, dict) or not isinstance(argument.items, dict):
        help = "as in `init: {weight: he_normal, bias: 0}`"
        fail(
            "AS0204", argument.span, f"`init` maps tensors to rules, found {describe(value)}", help
        )
        return {}
    roles = [param.role for param in op.params(*inputs)]
    rules: dict[str, Any] = {}
    for role, part in argument.items.items():
        if role not in roles:
            help = did_you_mean(role, roles, "tensors")
            fail("AS0202", part.key, f"{quote(op.kind)} has no tensor {quote(role)} here", help)
            continue
        try:
            rules[role] = _RULE.validate_python(value[role])
        except ValidationError:
            message = f"{quote(role)} takes {expected(_RULE.json_schema())}, found {describe(value[role])}"
            fail("AS0204", part.span, message, "")
    return rules
