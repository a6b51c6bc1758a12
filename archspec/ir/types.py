"""Shapes and the small value types of the language: sizes, patches, padding.

>>> format_shape((256, 28, 28))
'256x28x28'
>>> Patch.parse("7x7/2")
Patch(kernel=(7, 7), stride=(2,))
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, cast

from pydantic import BeforeValidator, Field, WithJsonSchema

Shape = tuple[int, ...]
"""One sample, channels first: (C, H, W), (C, L), (C, D, H, W) or (C,), without the batch axis."""

LIMIT = 2**62
"""The largest number that a spec may state or compute."""


def format_shape(shape: Shape) -> str:
    return "x".join(map(str, shape))


_SIZE = re.compile(r"[0-9]{1,18}( ?[x\u00d7] ?[0-9]{1,18}){0,3}")
_TIMES = str.maketrans({"\u00d7": "x", " ": None})
"""Papers print sizes with a multiplication sign, and at times with spaces around it."""


def parse_size(value: Any) -> Any:
    """Return 3, "3x5" or [3, 5] as a tuple; leave anything else for the validator to reject."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return (value,)
    if isinstance(value, str) and _SIZE.fullmatch(value):
        return _parts(value)
    if isinstance(value, list):
        return tuple(cast("list[Any]", value))
    return value


def _parts(size: str) -> tuple[int, ...]:
    return tuple(int(part) for part in size.translate(_TIMES).split("x"))


def positive_ints(value: Any) -> tuple[int, ...] | None:
    """Return what `parse_size` makes of a value, if that is positive ints only, else None."""
    size = parse_size(value)
    parts = cast("tuple[Any, ...]", size) if isinstance(size, tuple) else ()
    return parts if parts and all(type(part) is int and part > 0 for part in parts) else None


def _sizes(least: int) -> WithJsonSchema:
    one = {"type": "integer", "minimum": least}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": 3}
    return WithJsonSchema(
        {"anyOf": [one, {"type": "string", "pattern": f"^{_SIZE.pattern}$"}, many]}
    )


Positive = Annotated[int, Field(ge=1, le=LIMIT)]
Natural = Annotated[int, Field(ge=0, le=LIMIT)]

Size = Annotated[
    tuple[Positive, ...], Field(min_length=1, max_length=3), BeforeValidator(parse_size), _sizes(1)
]
"""One number for every axis, or one per axis: 3, 3x5, [3, 5]."""

Amount = Annotated[
    tuple[Natural, ...], Field(min_length=1, max_length=3), BeforeValidator(parse_size), _sizes(0)
]
"""Like `Size`, but 0 is allowed."""


def _parse_padding(value: Any) -> Any:
    if isinstance(value, list | tuple):
        sides = cast("list[Any] | tuple[Any, ...]", value)
        return tuple(
            tuple(cast("list[Any]", s)) if isinstance(s, list | tuple) else (s, s) for s in sides
        )
    if isinstance(value, str) and _SIZE.fullmatch(value):
        return tuple((part, part) for part in _parts(value))
    return value


_natural = {"type": "integer", "minimum": 0}
_pair = {"type": "array", "items": _natural, "minItems": 2, "maxItems": 2}

Pads = Annotated[tuple[tuple[Natural, Natural], ...], Field(min_length=1, max_length=3)]
Padding = Annotated[
    Natural | Literal["valid", "same", "same_lower", "symmetric"] | Pads,
    BeforeValidator(_parse_padding),
    WithJsonSchema(
        {
            "anyOf": [
                _natural,
                {"enum": ["valid", "same", "same_lower", "symmetric"]},
                {"type": "string", "pattern": f"^{_SIZE.pattern}$"},
                {
                    "type": "array",
                    "items": {"anyOf": [_natural, _pair]},
                    "minItems": 1,
                    "maxItems": 3,
                },
            ]
        }
    ),
]
"""One number for every side, one per axis, a [before, after] pair per axis, or a rule by name."""


class Patch(NamedTuple):
    """A window as papers print it, `7x7/2`: size and, after the slash, stride (1 by default)."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = (1,)

    @classmethod
    @lru_cache(maxsize=2**8)
    def parse(cls, text: str) -> Patch | None:
        kernel, slash, stride = text.translate(_TIMES).partition("/")
        if not _SIZE.fullmatch(kernel) or (slash and not _SIZE.fullmatch(stride)):
            return None
        patch = cls(
            tuple(map(int, kernel.split("x"))),
            tuple(map(int, stride.split("x"))) if slash else (1,),
        )
        return patch if all((*patch.kernel, *patch.stride)) else None

    def __str__(self) -> str:
        return f"{format_shape(self.kernel)}/{format_shape(self.stride)}"
