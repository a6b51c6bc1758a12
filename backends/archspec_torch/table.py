"""The assignments of a constructor; rows of a spec's table stay a table, their numbers in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archspec_torch.classes import Class
from archspec_torch.parts import Instance, Join, Part
from archspec_torch.text import WIDTH
from archspec_torch.write import Call, flat, statement

_APART = 2  # lines of another kind that a table may hold between two of its rows
_COLUMNS = 3  # numbers that make a table worth its comment


@dataclass(frozen=True)
class Row:
    """A row's numbers, the parameters that they are for, and what the call says after them."""

    attr: str
    call: str
    titles: tuple[str, ...]
    numbers: tuple[str, ...]
    rest: str


def assignments(cls: Class, *, rows: bool) -> list[str]:
    """`self.attr = ...` for every part, indented as a constructor's body; `rows` lays tables out."""
    parts = [part for part in cls.example.parts if not isinstance(part, Join)]
    found = [_row(cls, part) if rows else None for part in parts]
    lines: list[str] = []
    at = 0
    while at < len(parts):
        end = _table_end(found, at)
        if end > at:
            lines += _table(cls, parts[at:end])
        else:
            lines += statement(f"self.{parts[at].attr} = ", cls.code[parts[at]], 8)
        at = max(end, at + 1)
    return lines


def _row(cls: Class, part: Part) -> Row | None:
    """A table's row, if it becomes a call with numbers to lay out."""
    code = cls.code[part]
    if not (part.row and isinstance(part, Instance) and part.cls is not None and isinstance(code, Call)):
        return None
    numbers = tuple(flat(value) for key, value in code.args if not key)
    titles = tuple(_abbreviated(param.name) for param in part.cls.params[: len(numbers)])
    if len(numbers) < _COLUMNS or not all(map(str.isdecimal, numbers)):
        return None
    rest = "".join(f", {key}={flat(value)}" for key, value in code.args if key)
    return Row(part.attr, code.name, titles, numbers, rest)


def _table_end(rows: Sequence[Row | None], at: int) -> int:
    """Where a table that begins here ends; `at` where none does."""
    first = rows[at]
    ends = [at]
    for number in range(at + 1, len(rows) if first else at):
        row = rows[number]
        if first and row and row.titles == first.titles:
            ends.append(number)
        elif number - ends[-1] > _APART:
            break
    return ends[-1] + 1 if len(ends) > 1 else at


def _table(cls: Class, parts: Sequence[Part]) -> list[str]:
    """Rows under a comment that names their columns, kept from being reformatted."""
    found = {part: row for part in parts if (row := _row(cls, part))}
    rows = list(found.values())
    rows = [row for row in rows if row.titles == rows[0].titles]
    widths = [max(map(len, column)) for column in zip(rows[0].titles, *(row.numbers for row in rows), strict=True)]
    attr, call = max(len(row.attr) for row in rows), max(len(row.call) for row in rows)
    columns = "  ".join(title.rjust(width) for title, width in zip(rows[0].titles, widths, strict=True))
    lines = ["        # fmt: off", f"        {'#'.ljust(attr + call + len('self. = ('))}{columns}"]
    for part in parts:
        row = found.get(part)
        line = ""
        if row in rows:
            cells = ", ".join(number.rjust(width) for number, width in zip(row.numbers, widths, strict=True))
            line = f"        self.{row.attr.ljust(attr)} = {row.call}({' ' * (call - len(row.call))}{cells}{row.rest})"
        lines += [line] if 0 < len(line) <= WIDTH else statement(f"self.{part.attr} = ", cls.code[part], 8)
    return [*lines, "        # fmt: on"]


def _abbreviated(name: str) -> str:
    """A column's title: `in` for in_channels, `3x3r` for n3x3_reduce."""
    words = name.removeprefix("n").split("_") if name[:1] == "n" and name[1:2].isdecimal() else name.split("_")
    return words[0] if words[0] == "in" else words[0] + "".join(word[:1] for word in words[1:])
