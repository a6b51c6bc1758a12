"""Addresses: dotted paths of names that point into a spec's tree, as `edit` and `--set` write them.

Names are quoted where they hold a dot or begin with a quote: `classes`, `inception_4a."#3x3"`, `stem.conv.bias`,
`blocks.convolution.conv.bias`, `heads.aux1.weight`. A step's address is its neutral path, through branches and repeats:

>>> split('blocks.convolution."b.1".bias')
['blocks', 'convolution', 'b.1', 'bias']
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass

from archspec.diagnostics import did_you_mean, quote
from archspec.frontend.step import RESERVED
from archspec.frontend.tree import List, Map, Scalar, Tree
from archspec.ops import OPS

_SEGMENT = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^."'\s][^.]*))\s*(?:\.|$)""")


class AddressError(Exception):
    """An address that cannot be read, or that leads nowhere."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message, self.help = message, help


def split(address: str) -> list[str]:
    """The names of an address; raises `AddressError`."""
    names: list[str] = []
    at = 0
    while at < len(address):
        match = _SEGMENT.match(address, at)
        if not match:
            break
        quoted = match[1] if match[1] is not None else match[2]
        names.append(match[3].rstrip() if quoted is None else quoted)
        at = match.end()
    if at < len(address) or not names or address.endswith("."):
        raise AddressError(
            f"{quote(address)} is no address", "names are joined by dots, as in `stem.conv.out`"
        )
    return names


def join(names: list[str]) -> str:
    """The address in one piece, for messages."""
    return ".".join(names)


def numbered(what: str, counts: dict[str, int], taken: Container[str]) -> str:
    """The name of a step that states none: its op's, with a number from the second on.

    >>> counts = {}
    >>> [numbered("conv", counts, {"conv_2"}) for _ in range(3)]
    ['conv', 'conv_3', 'conv_4']
    """
    base = what.replace(".", "_")
    count = counts.get(base, 0)
    while (name := base if count == 0 else f"{base}_{count + 1}") in taken:
        count += 1
    counts[base] = count + 1
    return name


@dataclass(slots=True, eq=False)
class Place:
    """Where a step stands: its list and its index there; `columns` are its table's, where it is a row."""

    items: list[Tree]
    index: int
    columns: List | None = None

    @property
    def step(self) -> Tree:
        return self.items[self.index]

    @property
    def titles(self) -> list[str]:
        return (
            [column.text for column in self.columns.items if isinstance(column, Scalar)]
            if self.columns
            else []
        )

    @property
    def what(self) -> str:
        """The op or block; empty where the step has none."""
        step = self.step
        if isinstance(step, Map):
            return next((key for key in step.entries if key not in RESERVED), "")
        what = self._cell("type") if isinstance(step, List) else step
        return what.text if isinstance(what, Scalar) else ""

    @property
    def value(self) -> Map | None:
        """What is given to the op or block, where the step is a mapping."""
        value = self.step.get(self.what) if isinstance(self.step, Map) else None
        return value if isinstance(value, Map) else None

    @property
    def name(self) -> str | None:
        """The name that it states."""
        name = self.step.get("name") if isinstance(self.step, Map) else self._cell("name")
        return name.text if isinstance(name, Scalar) and name.value is not None else None

    @property
    def branches(self) -> dict[str, Tree]:
        """The bodies of a merge, by the names that neutral paths give them."""
        if self.value is None or self.what not in OPS or not OPS[self.what].variadic:
            return {}
        prefix = f"{self.name}_" if self.name is not None else ""
        return {prefix + key.text: body for key, body in self.value}

    def _cell(self, title: str) -> Tree | None:
        titles = self.titles
        known = (
            isinstance(self.step, List) and title in titles and len(self.step.items) == len(titles)
        )
        return (
            self.step.items[titles.index(title)] if known and isinstance(self.step, List) else None
        )


def steps(body: Tree | None) -> dict[str, Place]:
    """The steps of a body by name, stated or numbered, the rows of its tables among them."""
    counts: dict[str, int] = {}
    found: dict[str, Place] = {}
    taken: set[str] = set()
    for place in _places(body):
        name = place.name
        if name is None:
            name = numbered(place.what, counts, taken)
        found.setdefault(name, place)
        taken |= {name, *place.branches}
    return found


def _places(body: Tree | None) -> Iterator[Place]:
    table = body.get("table") if isinstance(body, Map) else None
    items = body.items if isinstance(body, List) else []
    columns: List | None = None
    if isinstance(table, Map):
        rows, heads = table.get("rows"), table.get("columns")
        if isinstance(rows, List) and isinstance(heads, List):
            items, columns = rows.items, heads
    for index, item in enumerate(items):
        if isinstance(item, Map) and "table" in item.entries:
            yield from _places(item)
        else:
            yield Place(items, index, columns if isinstance(item, List) else None)


def find_step(body: Tree, names: list[str], keep: int = 0) -> tuple[Place, list[str]]:
    """The step that the names lead to, and the names behind it, `keep` of them at least; raises `AddressError`."""
    whole = join(names)
    while True:
        known = steps(body)
        place = known.get(names[0])
        inner = _inner(place, names, keep) or _branch(known, names[0])
        if inner is not None:
            body, names = inner[0], names[inner[1] :]
        elif place is None:
            prefix = "" if whole == names[0] else f"{quote(whole)} names nothing: "
            raise AddressError(
                f"{prefix}no step is called {quote(names[0])}",
                did_you_mean(names[0], known, "steps"),
            )
        else:
            return place, names[1:]
        if len(names) <= keep:
            raise AddressError(f"{quote(whole)} is a body, not a step", "address a step inside it")


def _inner(place: Place | None, names: list[str], keep: int) -> tuple[Tree, int] | None:
    """The body inside a step that further names lead into, and how many names that takes."""
    if place is None or place.value is None or len(names) - 1 <= keep:
        return None
    if place.what == "repeat":
        body = place.value.get("body")
        return (body, 1) if body is not None else None
    body = place.value.get(names[1]) if place.branches else None
    return (body, 2) if body is not None else None


def _branch(known: dict[str, Place], name: str) -> tuple[Tree, int] | None:
    if name in known:
        return None
    return next(
        ((place.branches[name], 1) for place in known.values() if name in place.branches), None
    )
