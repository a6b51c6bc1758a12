"""A step's own `init`: the rules by which its op's tensors start, by role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from archspec.diagnostics import Span, did_you_mean, quote
from archspec.frontend.schema_words import describe_schema
from archspec.frontend.step import POISON, Argument
from archspec.ir.document import Init, Initializer, InitRule
from archspec.ir.expr import describe
from archspec.ir.op import Op
from archspec.ir.synonyms import suggest
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
    """Return the rules by role; report wrong rules, and tensors that the op does not have."""
    if value is POISON:
        return {}
    if not isinstance(value, dict) or not isinstance(argument.items, dict):
        message = f"`init` maps tensors to rules, found {describe(value)}"
        fail("AS0204", argument.span, message, "as in `init: {weight: he_normal, bias: 0}`")
        return {}
    roles = [param.role for param in op.params(*inputs)]
    rules: dict[str, Any] = {}
    for role, part in argument.items.items():
        if role not in roles:
            message = f"{quote(op.kind)} has no tensor {quote(role)} here"
            fail("AS0202", part.key_span, message, did_you_mean(role, roles, "tensors"))
            continue
        try:
            rules[role] = _RULE.validate_python(value[role])
        except ValidationError:
            takes = describe_schema(_RULE.json_schema())
            stated = cast("dict[str, Any]", value)[role]
            message = f"{quote(role)} takes {takes}, found {describe(stated)}"
            help = suggest(stated, get_args(InitRule)) if isinstance(stated, str) else ""
            fail("AS0204", part.span, message, help)
    return rules
