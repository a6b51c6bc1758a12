"""The rows of a spec's table as calls that stay a table: their numbers in columns, under a comment that names these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archspec.codegen.literals import WIDTH
from archspec.codegen.module_tree import Instance, TreeNode
from archspec.codegen.printer import Call, Code, one_line, statement

_APART = 2  # lines of another kind that a table may hold between two of its rows
_COLUMNS = 3  # numbers that make a table worth its comment


@dataclass(frozen=True)
class TableRow:
    """A row: what it is assigned to, the call and what that reads, its numbers under their titles, and the rest."""

    target: str
    call: str
    operands: str
    titles: tuple[str, ...]
    numbers: tuple[str, ...]
    rest: str


@dataclass(frozen=True)
class Assignment:
    """An assignment, and the row of a table that it can be."""

    target: str
    code: Code
    row: TableRow | None = None

    def as_statement(self, indent: int) -> list[str]:
        """As a statement by itself."""
        return statement(f"{self.target} = ", self.code, indent)


def assignment(part: TreeNode, target: str, code: Code, operands: int = 0) -> Assignment:
    """The assignment of a part's call, whose first arguments are `operands` values that it reads."""
    if not (
        part.row and isinstance(part, Instance) and part.cls is not None and isinstance(code, Call)
    ):
        return Assignment(target, code)
    unnamed = [one_line(value) for key, value in code.args if not key]
    numbers = tuple(unnamed[operands:])
    titles = tuple(_abbreviated(param.name) for param in part.cls.params[: len(numbers)])
    if len(numbers) < _COLUMNS or not all(map(str.isdecimal, numbers)):
        return Assignment(target, code)
    read = "".join(f"{value}, " for value in unnamed[:operands])
    rest = "".join(f", {key}={one_line(value)}" for key, value in code.args if key)
    return Assignment(target, code, TableRow(target, code.name, read, titles, numbers, rest))


def format_assignments(found: Sequence[Assignment], indent: int) -> list[str]:
    """The statements, tables laid out."""
    lines: list[str] = []
    at = 0
    while at < len(found):
        end = _table_end([each.row for each in found], at)
        lines += _table(found[at:end], indent) if end > at else found[at].as_statement(indent)
        at = max(end, at + 1)
    return lines


def _table_end(rows: Sequence[TableRow | None], at: int) -> int:
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


def _table(found: Sequence[Assignment], indent: int) -> list[str]:
    """Rows under a comment that names their columns, kept from being reformatted."""
    rows = [each.row for each in found if each.row]
    rows = [row for row in rows if row.titles == rows[0].titles]
    widths = [
        max(map(len, column))
        for column in zip(rows[0].titles, *(row.numbers for row in rows), strict=True)
    ]
    target, call, read = (
        max(len(getattr(row, part)) for row in rows) for part in ("target", "call", "operands")
    )
    columns = "  ".join(
        title.rjust(width) for title, width in zip(rows[0].titles, widths, strict=True)
    )
    pad = " " * indent
    lines = [f"{pad}# fmt: off", f"{pad}{'#'.ljust(target + call + read + len(' = ('))}{columns}"]
    for each in found:
        row, text = each.row, ""
        if row and row.titles == rows[0].titles:
            cells = ", ".join(
                number.rjust(width) for number, width in zip(row.numbers, widths, strict=True)
            )
            before = f"{' ' * (call - len(row.call))}{row.operands.ljust(read)}"
            text = f"{pad}{row.target.ljust(target)} = {row.call}({before}{cells}{row.rest})"
        lines += [text] if 0 < len(text) <= WIDTH else each.as_statement(indent)
    return [*lines, f"{pad}# fmt: on"]


def _abbreviated(name: str) -> str:
    """A column's title: `in` for in_channels, `3x3r` for n3x3_reduce."""
    words = (
        name.removeprefix("n").split("_")
        if name[:1] == "n" and name[1:2].isdecimal()
        else name.split("_")
    )
    return words[0] if words[0] == "in" else words[0] + "".join(word[:1] for word in words[1:])
