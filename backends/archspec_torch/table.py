"""The assignments of a constructor; rows of a spec's table stay a table, their numbers in columns."""

from __future__ import annotations

from collections.abc import Sequence

from archspec_torch.classes import Class
from archspec_torch.parts import Instance, Join, Part
from archspec_torch.text import WIDTH
from archspec_torch.write import Call, flat, statement

_APART = 2  # lines of another kind that a table may hold between two of its rows


def assignments(cls: Class, *, rows: bool) -> list[str]:
    """`self.attr = ...` for every part, indented as a constructor's body; `rows` lays tables out."""
    parts = [part for part in cls.example.parts if not isinstance(part, Join)]
    lines: list[str] = []
    at = 0
    while at < len(parts):
        end = _table_end(cls, parts, at) if rows else at
        if end > at:
            lines += _table(cls, parts[at:end])
            at = end
        else:
            lines += statement(f"self.{parts[at].attr} = ", cls.code[parts[at]], 8)
            at += 1
    return lines


def _numbers(cls: Class, part: Part) -> list[str]:
    """The numbers of a row that can stand in columns: an instance's leading arguments, three or more."""
    code = cls.code[part]
    if not (part.row and isinstance(part, Instance) and isinstance(code, Call)):
        return []
    numbers = [flat(value) for key, value in code.args if not key and flat(value).isdecimal()]
    return numbers if len(numbers) > 2 and all(flat(v).isdecimal() for k, v in code.args if not k) else []


def _table_end(cls: Class, parts: Sequence[Part], at: int) -> int:
    """Where a table that begins here ends; `at` where none does."""
    if not _numbers(cls, parts[at]):
        return at
    last, count = at, 1
    for number in range(at + 1, len(parts)):
        part = parts[number]
        alike = isinstance(part, Instance) and isinstance(parts[at], Instance) and part.cls is parts[at].cls
        if alike and len(_numbers(cls, part)) == len(_numbers(cls, parts[at])):
            last, count = number, count + 1
        elif number - last > _APART:
            break
    return last + 1 if count > 1 else at


def _table(cls: Class, parts: Sequence[Part]) -> list[str]:
    """Rows under a comment that names their columns, kept from being reformatted."""
    first = parts[0]
    assert isinstance(first, Instance) and first.cls is not None
    rows = {part: _numbers(cls, part) for part in parts if isinstance(part, Instance) and part.cls is first.cls}
    titles = [_abbreviated(param.name) for param in first.cls.params[: len(rows[first])]]
    widths = [max(map(len, column)) for column in zip(titles, *rows.values(), strict=True)]
    names = max(len(part.attr) for part in rows)
    heads = [f"self.{part.attr.ljust(names)} = {first.cls.name}(" for part in rows]
    comment = "#".ljust(len(heads[0])) + "  ".join(t.rjust(w) for t, w in zip(titles, widths, strict=True))
    lines = ["        # fmt: off", f"        {comment.rstrip()}"]
    for part in parts:
        code = cls.code[part]
        if part not in rows:
            lines += statement(f"self.{part.attr} = ", code, 8)
            continue
        assert isinstance(code, Call)
        cells = ", ".join(n.rjust(w) for n, w in zip(rows[part], widths, strict=True))
        rest = "".join(f", {key}={flat(value)}" for key, value in code.args if key)
        line = f"        self.{part.attr.ljust(names)} = {first.cls.name}({cells}{rest})"
        lines += [line] if len(line) <= WIDTH else statement(f"self.{part.attr} = ", code, 8)
    return [*lines, "        # fmt: on"]


def _abbreviated(name: str) -> str:
    """A column's title: `in` for in_channels, `3x3r` for n3x3_reduce."""
    words = name.removeprefix("n").split("_") if name[:1] == "n" and name[1:2].isdecimal() else name.split("_")
    return words[0] if words[0] == "in" else words[0] + "".join(word[:1] for word in words[1:])
