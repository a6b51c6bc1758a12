"""Wrong inputs: strategies for specs of damaged text, of random data in the language's words, and damaged bytes of any file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st

from archspec.ir.document import Document
from archspec.ops import OPS

NUMBERS = [
    *"0 -1 -0 1 2 3 1.5 -1.5 1e3 1e-320 1e400 -1e400 .inf -.inf .nan NaN 0x10 0o17 1_000 +5 007".split(),
    *"999999999999 4611686018427387904 4611686018427387905 9223372036854775808".split(),
    *["9" * 30, "9" * 500, "1" + "0" * 400, "1" * 5000],
]

SYNTAX = [
    *"~ { } [ ] , : - ? & * ! | > % @ ` ' \" # << <<: *a &a &a[*a] !!python/object/apply:os.system !!int !x --- ...".split(),
    *[
        "- ",
        ": ",
        "\t",
        "\n",
        "\n\t",
        "\r",
        "\r\n",
        "\0",
        "\x1b[31m",
        "\ufeff",
        "\x85",
        "\u2028",
        "\ud7ff",
        "\u202e",
        "\U0001f600",
    ],
    *[
        "extends: ../../etc/passwd",
        "edit: [{remove: conv1}]",
        "table: {columns: [], rows: []}",
        "{}",
        "[]",
        "{a: {b: [c]}}",
    ],
]
"""What the YAML parser sees."""

EXPRESSIONS = [
    *[
        "$",
        "$$",
        "${",
        "${}",
        "${in}",
        "$in.channels",
        "${in.depth}",
        "${1/0}",
        "${2**62}",
        "${-(2**62) - 1}",
        "${10**400}",
    ],
    *[
        "${" + "(" * 60 + "1" + ")" * 60 + "}",
        "${not not 1}",
        "${max()}",
        "${'a' * 9}",
        "${1 < 2 < 3}",
        "${__import__('os')}",
    ],
]

NAMES = [
    *"in input main name type from true null no Yes 7x7/2 0x0/0 3x x3 28x28x256 1x1x1x1x1 repeat table out kernel times body".split(),
    *["a" * 3000, *Document.model_fields, *OPS],
]

_TOKEN = re.compile(r"[\w$.#/]+|\S")
_WORD = re.compile(r"[\w$.#/]+")
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b")

Edit = Callable[[st.DrawFn, str], str]


def _line(draw: st.DrawFn, text: str, change: Callable[[list[str], int, int], None]) -> str:
    lines = text.splitlines(keepends=True) or [""]
    places = st.integers(0, len(lines) - 1)
    change(lines, draw(places), draw(places))
    return "".join(lines)


def _delete(lines: list[str], i: int, _: int) -> None:
    del lines[i]


def _repeat(lines: list[str], i: int, j: int) -> None:
    lines.insert(j, lines[i])


def _swap(lines: list[str], i: int, j: int) -> None:
    lines[i], lines[j] = lines[j], lines[i]


def _indent(lines: list[str], i: int, j: int) -> None:
    lines[i] = " " * (j % 5) + lines[i].lstrip(" ")


def _character(draw: st.DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    return (
        text[:at]
        + draw(st.sampled_from([*"'\"{}[]:,-#&*!|>%@`~$ \n\t", ""]))
        + text[at + draw(st.integers(0, 1)) :]
    )


def _syntax(draw: st.DrawFn, text: str) -> str:
    return _replaced(draw, text, _TOKEN, SYNTAX)


def _name(draw: st.DrawFn, text: str) -> str:
    return _replaced(draw, text, _TOKEN, NAMES)


def _expression(draw: st.DrawFn, text: str) -> str:
    return _replaced(draw, text, _WORD, EXPRESSIONS)


def _moved(draw: st.DrawFn, text: str) -> str:
    """One of the text's own words in the place of another."""
    return _replaced(draw, text, _WORD, [match[0] for match in _WORD.finditer(text)] or [""])


def _number(draw: st.DrawFn, text: str) -> str:
    return _replaced(draw, text, _NUMBER, NUMBERS)


def _replaced(draw: st.DrawFn, text: str, pattern: re.Pattern[str], others: Sequence[str]) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text + draw(st.sampled_from(others))
    start, end = draw(st.sampled_from(found)).span()
    return text[:start] + draw(st.sampled_from(others)) + text[end:]


def _cut(draw: st.DrawFn, text: str) -> str:
    start = draw(st.integers(0, len(text)))
    return text[:start] + text[start + draw(st.integers(1, 40)) :]


EDITS: list[Edit] = [
    *(
        lambda draw, text, change=change: _line(draw, text, change)
        for change in (_delete, _repeat, _swap, _indent)
    ),
    *(
        _character,
        _syntax,
        _cut,
        _name,
        _name,
        _expression,
        _expression,
        _moved,
        _moved,
        _number,
        _number,
        _number,
    ),
]


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """A valid spec with a few random edits."""
    text = draw(texts)
    for edit in draw(st.lists(st.sampled_from(EDITS), min_size=1, max_size=4)):
        text = edit(draw, text)
    return text


WORDS = [
    *"archspec name extends edit input args blocks network body columns rows table repeat times as branches".split(),
    *"from when output aux init params ops depth type set remove replace insert_before insert_after doc".split(),
    *"int size patch shape main train conv1 b1 i n a.b".split(),
    *Document.model_fields,
    *OPS,
    *sorted({name for op in OPS.values() for name in op.model_fields}),
]

_expressions = st.text("$ {}().+-*/%<>=!'\"ainchels012,#&|~", max_size=20).map(
    lambda text: f"${{{text}}}"
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 9),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(WORDS),
    _expressions,
)
_keys = st.one_of(st.sampled_from(WORDS), st.text(max_size=6))
trees = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=25,
)


def _near(kind: str) -> st.SearchStrategy[Any]:
    """A section that is nearly right."""
    calls = st.dictionaries(
        st.sampled_from(sorted(OPS[kind].model_fields) or ["out"]), _scalars, max_size=4
    )
    return st.one_of(st.just(kind), calls.map(lambda fields: {kind: fields}))


_steps = st.lists(st.one_of(st.sampled_from(sorted(OPS)).flatmap(_near), trees), max_size=4)
_sections = {
    "archspec": st.one_of(st.just(1), trees),
    "name": trees,
    "input": st.one_of(st.lists(st.integers(1, 9), min_size=1, max_size=4), trees),
    "args": st.one_of(st.dictionaries(_keys, _scalars, max_size=3), trees),
    "blocks": st.dictionaries(
        _keys,
        st.fixed_dictionaries({"body": _steps}, optional={"args": trees, "doc": trees}),
        max_size=3,
    ),
    "network": st.one_of(_steps, trees, st.fixed_dictionaries({"table": trees})),
    "heads": trees,
    "edit": trees,
}
_more = {name: trees for name in Document.model_fields if name not in _sections}


def data() -> st.SearchStrategy[str]:
    """Arbitrary data, mostly under the keys of a spec and in its words, as YAML."""
    needed = {key: _sections[key] for key in ("archspec", "input", "network")}
    rest = {key: section for key, section in {**_sections, **_more}.items() if key not in needed}
    whole = st.fixed_dictionaries(needed, optional=rest)
    return st.one_of(whole, trees).map(
        lambda value: yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
    )


SIZES = [
    bytes(4),
    b"\xff" * 4,
    b"\x7f" + b"\xff" * 3,
    b"\xff" * 3 + b"\x7f",
    b"\1" + bytes(3),
    bytes(3) + b"\1",
]
"""Numbers at which a reader's sums go wrong, in both orders of their bytes."""
HEAD = 160
"""The first bytes of a file, which say how to read the others."""


def damaged_bytes(random: np.random.Generator, raw: bytes) -> bytes:
    """Damage a file in up to three places, most of them in its head or at its end."""
    content = bytearray(raw)
    for _ in range(random.integers(1, 4)):
        length = len(content)
        near = int(random.integers(0, min(length, HEAD) + 1))
        at = [near, length - near, int(random.integers(0, length + 1))][random.integers(3)]
        few = int(random.integers(1, 9))
        match int(random.integers(6)):
            case 0:
                content[at : at + 1] = random.bytes(1)
            case 1:
                content[at : at + 4] = SIZES[random.integers(len(SIZES))]
            case 2:
                del content[at:]
            case 3:
                del content[at : at + few]
            case 4:
                content[at:at] = random.bytes(few)
            case _:
                content[at:at] = content[near : near + few]
    return bytes(content)
