"""Tables: the columns that a table declares, and the cells of its rows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from archspec.diagnostics import Note, Report, did_you_mean, quote
from archspec.frontend.step import Step
from archspec.frontend.step_keys import RESERVED_KEYS, TABLE_KEYS, check_keys
from archspec.frontend.tree import Tree, YamlList, YamlMap, YamlScalar, describe_tree
from archspec.ir.synonyms import suggest


@dataclass(frozen=True, slots=True)
class StepTable:
    """A table's rows, and its columns by name; None for one that no row can fill."""

    columns: YamlList
    titles: dict[str, YamlScalar | None]
    rows: list[Tree]

    @property
    def unknown(self) -> frozenset[str]:
        """The columns that no row can fill: they have been reported."""
        return frozenset(name for name, title in self.titles.items() if title is None)

    def cells(self, row: YamlList) -> dict[str, Tree]:
        return dict(zip(self.titles, row.items, strict=False))


def read_table(
    step: Step,
    value: Tree | None,
    fields: Callable[[str], Collection[str] | None],
    report: Report,
) -> StepTable | None:
    """Return a table with its columns checked; None where they cannot be read.

    `fields` gives the arguments of an op or block by name, None where they are unknown.
    """
    for key, argument in step.reserved.items():
        message = f"a table takes no {quote(key)}: it stands for the steps of its rows"
        report.error("AS0202", argument.key_span, message, help="write it at a row")
    columns = rows = None
    if isinstance(value, YamlMap):
        check_keys(value, (key.name for key in TABLE_KEYS), report, " in a table")
        columns, rows = value.get("columns"), value.get("rows")
    if not isinstance(columns, YamlList) or not isinstance(rows, YamlList):
        report.error("AS0201", step.span, "a table has `columns` and `rows`, two lists")
        return None
    titles = _titles(columns, report)
    if titles is None:
        return None
    if "type" not in titles:
        message = "a table needs a column `type`, which names the op or block of a row"
        report.error("AS0201", columns.span, message, help=did_you_mean("type", titles))
        return None
    usable = _usable(titles, rows, fields)
    if usable is None:
        return StepTable(columns, {**titles}, rows.items)
    for name, title in titles.items():
        if name not in usable:
            message = f"no row's op or block has an argument {quote(name)}"
            help = suggest(name, sorted(usable), "columns")
            report.error("AS0209", title.span, message, help=help)
    checked = {name: title if name in usable else None for name, title in titles.items()}
    return StepTable(columns, checked, rows.items)


def _titles(columns: YamlList, report: Report) -> dict[str, YamlScalar] | None:
    titles: dict[str, YamlScalar] = {}
    for title in columns.items:
        if not isinstance(title, YamlScalar) or title.value is None:
            message = f"a column has a name, found {describe_tree(title)}"
            report.error("AS0204", title.span, message)
            return None
        if title.text in titles:
            message = f"two columns are called {quote(title.text)}"
            notes = [Note("first given", titles[title.text].span)]
            report.error("AS0403", title.span, message, notes=notes)
            return None
        titles[title.text] = title
    return titles


def _usable(
    titles: dict[str, YamlScalar], rows: YamlList, fields: Callable[[str], Collection[str] | None]
) -> set[str] | None:
    """Return the columns that some row can fill; None where a type is wrong and might take any."""
    at = [*titles].index("type")
    kinds: set[str] = set()
    for row in rows.items:
        if isinstance(row, YamlList) and len(row.items) == len(titles):
            cell = row.items[at]
            kinds.add(cell.text if isinstance(cell, YamlScalar) else "")
    names = {*RESERVED_KEYS, "type"}
    for kind in kinds:
        arguments = fields(kind)
        if arguments is None:
            return None
        names.update(arguments)
    return names if kinds else None
