"""Read JSON that anyone may have written, as values of stated types.

>>> class Point(Record):
...     x: int
>>> parse_json('{"x": 3, "more": []}', Point).x
3
>>> parse_json('{"x": "3"}', Point)
Traceback (most recent call last):
archspec._json.JsonError: `x` is wrong: found `"3"`
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from archspec._files import read_bytes
from archspec.diagnostics import Failure, quote, reason

MAX_BYTES = 2**26
"""The most that a file of JSON may hold."""


class JsonError(ValueError):
    """JSON that is damaged or not of the form; the message says what is wrong at which key."""


class Record(BaseModel):
    """A JSON object with these keys. Others are ignored: another version may have written them."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, defer_build=True, allow_inf_nan=False
    )


def _check_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a string")
    return value


Text = Annotated[str, PlainValidator(_check_text)]
"""A string, which may hold the surrogates of a file name that is not UTF-8; pydantic's may not."""
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""A SHA-256 in hexadecimal."""

Form = TypeVar("Form", bound=BaseModel)


def read_json(path: Path, form: type[Form]) -> Form:
    """Return the content of a file; raise `OSError` or `JsonError`."""
    return parse_json(_read_text(path), form)


def read_plain(path: Path, form: type[BaseModel]) -> dict[str, Any]:
    """Return an object of that form as it stands in a file, with the keys that the form ignores.

    Raise `OSError` or `JsonError`.
    """
    plain = parse_plain(_read_text(path))
    convert(plain, form)
    return plain


@contextmanager
def reading_json(path: Path, message: str, help: str) -> Generator[None]:
    """Raise a `Failure` of that message if the block cannot read the JSON in `path`.

    The reason follows the message, but for a file that is missing.
    """
    try:
        yield
    except FileNotFoundError:
        raise Failure(message, help) from None
    except (OSError, JsonError) as error:
        why = reason(error) if isinstance(error, OSError) else error
        raise Failure(f"{message}: {path.name}: {why}", help) from error


def _read_text(path: Path) -> bytes:
    content = read_bytes(path, MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise JsonError(f"it has more than {MAX_BYTES // 2**20} MiB")
    return content


def parse_json(text: str | bytes, form: type[Form]) -> Form:
    """Return the values in a text; raise `JsonError`."""
    return convert(parse_plain(text), form)


def parse_plain(text: str | bytes) -> Any:
    """Return JSON of any form as plain values.

    Raise `JsonError`, also for a number that is not finite or has more than 64 bits.
    """
    try:
        return json.loads(
            text, parse_float=_parse_float, parse_int=_parse_int, parse_constant=_parse_float
        )
    except (ValueError, RecursionError):
        raise JsonError("it is not JSON, or damaged") from None


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def _parse_int(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**64:
        raise ValueError(f"{text} has more than 64 bits")
    return value


def convert(value: Any, form: type[Form]) -> Form:
    """Return plain values of JSON as those of the form; raise `JsonError`."""
    try:
        return form.model_validate(value)
    except ValidationError as error:
        raise JsonError(_first_fault(value, error)) from None


def _first_fault(value: Any, error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    inner, place = value, list[str]()
    for key in fault["loc"]:
        try:
            inner = inner[key]
        except (LookupError, TypeError):  # a missing key, or pydantic's own name for a type
            break
        place.append(str(key))
    if fault["type"] == "missing":
        return f"{quote('.'.join([*place, str(fault['loc'][-1])]))} is wrong: it is missing"
    if not place:
        return "it is not a JSON object"
    return f"{quote('.'.join(place))} is wrong: found {quote(_shown(inner))}"


def _shown(value: Any) -> str:
    """Return a value as JSON has it; of a long list or object only what it is."""
    if isinstance(value, list):
        return "[...]" if value else "[]"
    if isinstance(value, dict):
        return "{...}" if value else "{}"
    return json.dumps(value)
