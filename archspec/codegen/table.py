"""Lay out the calls for a spec's table as a table, with a comment that names its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archspec.codegen.literals import WIDTH
from archspec.codegen.module_tree import Instance, TreeNode
from archspec.codegen.printer import Call, Code, one_line, statement

MAX_GAP = 2  # lines of another kind that a table may hold between two of its rows
MIN_COLUMNS = 3  # numbers that make a table worth its comment


@dataclass(frozen=True)
class TableRow:
    """A row of a table: `target = call(operands numbers rest)`, with a title for each number."""

    target: str
    call: str
    operands: str
    titles: tuple[str, ...]
    numbers: tuple[str, ...]
    rest: str


@dataclass(frozen=True)
class Assignment:
    """An assignment, and the row of a table if it can be one."""

    target: str
    code: Code
    row: TableRow | None = None

    def as_statement(self, indent: int) -> list[str]:
        """Return it as a statement outside a table."""
        return statement(f"{self.target} = ", self.code, indent)


def assignment(node: TreeNode, target: str, code: Code, operands: int = 0) -> Assignment:
    """Return the assignment of a node's call, whose first arguments are `operands` values."""
    if not isinstance(node, Instance) or node.cls is None or not node.row:
        return Assignment(target, code)
    if not isinstance(code, Call):
        return Assignment(target, code)
    positional = [one_line(value) for key, value in code.args if not key]
    numbers = tuple(positional[operands:])
    if len(numbers) < MIN_COLUMNS or not all(map(str.isdecimal, numbers)):
        return Assignment(target, code)
    titles = tuple(_abbreviated(param.name) for param in node.cls.params[: len(numbers)])
    inputs = "".join(f"{value}, " for value in positional[:operands])
    keywords = "".join(f", {key}={one_line(value)}" for key, value in code.args if key)
    row = TableRow(target, code.name, inputs, titles, numbers, keywords)
    return Assignment(target, code, row)


def format_assignments(assignments: Sequence[Assignment], indent: int) -> list[str]:
    """Return the lines of all assignments, with their tables laid out."""
    rows = [item.row for item in assignments]
    lines: list[str] = []
    start = 0
    while start < len(assignments):
        end = _table_end(rows, start)
        if end > start:
            lines += _table(assignments[start:end], indent)
            start = end
        else:
            lines += assignments[start].as_statement(indent)
            start += 1
    return lines


def _table_end(rows: Sequence[TableRow | None], start: int) -> int:
    """Return the end of the table that begins at `start`, or `start` if none does."""
    first = rows[start]
    if first is None:
        return start
    last = start
    for number in range(start + 1, len(rows)):
        if _has_titles(rows[number], first.titles):
            last = number
        elif number - last > MAX_GAP:
            break
    return last + 1 if last > start else start


def _has_titles(row: TableRow | None, titles: tuple[str, ...]) -> bool:
    return row is not None and row.titles == titles


def _table(assignments: Sequence[Assignment], indent: int) -> list[str]:
    """Return rows under a comment that names their columns, marked so that formatters keep them."""
    titles = next(item.row.titles for item in assignments if item.row)
    rows = [item.row for item in assignments if item.row and item.row.titles == titles]
    widths = _Widths.of(rows)
    heading = "  ".join(
        title.rjust(width) for title, width in zip(titles, widths.columns, strict=True)
    )
    pad = " " * indent
    start = widths.target + len(" = (") + widths.call + widths.operands
    lines = [f"{pad}# fmt: off", f"{pad}{'#'.ljust(start)}{heading}"]
    for item in assignments:
        line = ""
        if item.row and item.row.titles == titles:
            line = pad + _row_line(item.row, widths)
        lines += [line] if 0 < len(line) <= WIDTH else item.as_statement(indent)
    return [*lines, f"{pad}# fmt: on"]


@dataclass(frozen=True)
class _Widths:
    target: int
    call: int
    operands: int
    columns: list[int]

    @classmethod
    def of(cls, rows: Sequence[TableRow]) -> _Widths:
        """Return the widths that fit all rows, which have the same titles."""
        columns = zip(rows[0].titles, *(row.numbers for row in rows), strict=True)
        return cls(
            target=max(len(row.target) for row in rows),
            call=max(len(row.call) for row in rows),
            operands=max(len(row.operands) for row in rows),
            columns=[max(map(len, column)) for column in columns],
        )


def _row_line(row: TableRow, widths: _Widths) -> str:
    cells = zip(row.numbers, widths.columns, strict=True)
    numbers = ", ".join(number.rjust(width) for number, width in cells)
    # Padding after the bracket, as the names of calls differ in length.
    operands = f"{' ' * (widths.call - len(row.call))}{row.operands.ljust(widths.operands)}"
    return f"{row.target.ljust(widths.target)} = {row.call}({operands}{numbers}{row.rest})"


def _abbreviated(name: str) -> str:
    """Return a column's title: `in` for in_channels, `3x3r` for n3x3_reduce."""
    # A digit cannot begin a Python name, so that one got an `n`.
    if name[:1] == "n" and name[1:2].isdecimal():
        name = name.removeprefix("n")
    first, *others = name.split("_")
    if first == "in":
        return first
    return first + "".join(word[:1] for word in others)
