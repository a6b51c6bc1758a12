"""Tables as aligned text, CSV, Markdown and HTML. Names come from strangers and stay plain text.

>>> columns = (Column("layer"), Column("MACs", "number"))
>>> table = Table(columns, (("conv1", 118013952), ("a|b", 0)), ("total", 118013952))
>>> print(text(table))
layer         MACs
------------------
conv1  118,013,952
a|b              0
------------------
total  118,013,952
>>> print(markdown(table))
| layer | MACs |
| :-- | --: |
| conv1 | 118,013,952 |
| a\\|b | 0 |
| total | 118,013,952 |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from archspec.diagnostics.render import visible, width

Cell = str | int | float | None
"""A text, a number, or nothing."""

Kind = Literal["text", "number", "share", "percent", "difference", "decimal"]

_MAX_WIDTH = 60
_FORMATS: dict[Kind, str] = {
    "number": ",",
    "share": "+.1%",
    "percent": ".2%",
    "difference": "+.2%",
    "decimal": ".4f",
}
_SMALLEST_SHARE = 0.0005
# An underscore within a word is plain text.
_MARKDOWN = re.compile(r"[\\`*<>|\[\]&~$]|(?<![^\W_])_|_(?![^\W_])")
_FORMULA = tuple("=+-@\t\r")


@dataclass(frozen=True, slots=True)
class Column:
    """A column and the format of its numbers.

    `number` has thousands separators. `share` is a signed percentage, which is "0.0%" where it
    would round to nothing. `percent` and `difference`, which is signed, have two decimals of a
    percent, and `decimal` has four decimals.
    """

    name: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns, and a total of as many cells, which is set apart and is not data."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None


def number_columns(*names: str) -> tuple[Column, ...]:
    """Return a column of numbers for each name."""
    return tuple(Column(name, "number") for name in names)


def text(table: Table) -> str:
    """Return aligned columns of plain text; all but the last are cut at 60 characters."""
    head = _head(table)
    body = [_shown(table, row) for row in table.rows]
    total = [_shown(table, table.total)] if table.total else []
    cells = [[*map(_cut, row[:-1]), row[-1]] for row in (head, *body, *total)]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    lines = [_aligned(row, widths, table.columns) for row in cells]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines.insert(1, rule)
    if total:
        lines.insert(-1, rule)
    return "\n".join(lines)


def csv(table: Table) -> str:
    """Return RFC 4180: CRLF, quotes where needed, plain numbers.

    A text that a spreadsheet would execute as a formula is prefixed with an apostrophe.
    """
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_inert(column.name) for column in table.columns])
    writer.writerows(
        [[_inert(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows]
    )
    return out.getvalue()


def markdown(table: Table) -> str:
    """Return a GitHub table; characters that Markdown would read as markup are escaped."""
    head = _head(table)
    rule = [":--" if column.kind == "text" else "--:" for column in table.columns]
    body = [_shown(table, row) for row in (*table.rows, *([table.total] if table.total else []))]
    rows = [map(escaped, head), rule, *(map(escaped, row) for row in body)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def html(table: Table, caption: str = "", max_rows: int = 1000) -> str:
    """Return a table element of at most `max_rows` rows."""
    from html import escape

    def row(cells: Sequence[str], tag: str) -> str:
        sides = ("left" if column.kind == "text" else "right" for column in table.columns)
        inside = (
            f'<{tag} style="text-align: {s}">{escape(c)}</{tag}>'
            for c, s in zip(cells, sides, strict=True)
        )
        return f"<tr>{''.join(inside)}</tr>"

    head = row(_head(table), "th")
    body = "".join(row(_shown(table, cells), "td") for cells in table.rows[:max_rows])
    more = len(table.rows) - max_rows
    rest = f'<tr><td colspan="{len(table.columns)}">and {more:,} more</td></tr>' if more > 0 else ""
    foot = f"<tfoot>{row(_shown(table, table.total), 'th')}</tfoot>" if table.total else ""
    title = f"<caption>{escape(visible(caption))}</caption>" if caption else ""
    return f"<table>{title}<thead>{head}</thead><tbody>{body}{rest}</tbody>{foot}</table>"


def _head(table: Table) -> list[str]:
    return [visible(column.name) for column in table.columns]


def _shown(table: Table, row: Sequence[Cell]) -> list[str]:
    return [_format(cell, column.kind) for cell, column in zip(row, table.columns, strict=True)]


def _format(cell: Cell, kind: Kind) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return visible(cell)
    if kind == "share" and abs(cell) < _SMALLEST_SHARE:
        return "0.0%"
    return format(cell, _FORMATS.get(kind, ","))


def _cut(cell: str) -> str:
    if width(cell) <= _MAX_WIDTH:
        return cell
    while width(cell) > _MAX_WIDTH - 3:
        cell = cell[: min(len(cell) - 1, _MAX_WIDTH)]
    return cell + "..."


def _aligned(row: list[str], widths: list[int], columns: tuple[Column, ...]) -> str:
    gaps = [" " * (column - width(cell)) for cell, column in zip(row, widths, strict=True)]
    cells = [
        c + gap if column.kind == "text" else gap + c
        for c, gap, column in zip(row, gaps, columns, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _inert(cell: str) -> str:
    return "'" + visible(cell) if cell.startswith(_FORMULA) else visible(cell)


def escaped(cell: str) -> str:
    """Return a text that Markdown shows unchanged."""
    return _MARKDOWN.sub(lambda match: "\\" + match[0], cell)
