"""Addresses: dotted paths of names that point into a spec's tree, as `edit` and `--set` write them.

Examples are `classes`, `inception_4a."#3x3"`, `stem.conv.bias`, `blocks.convolution.conv.bias` and
`heads.aux1.weight`. A name that holds a dot or begins with a quote is quoted. A step's address is
its path in the graph, through branches and repeats.

>>> split_address('blocks.convolution."b.1".bias')
['blocks', 'convolution', 'b.1', 'bias']
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass

from archspec.diagnostics import did_you_mean, quote
from archspec.frontend.step_keys import RESERVED_KEYS
from archspec.frontend.tree import Tree, YamlList, YamlMap, YamlScalar
from archspec.ops import OPS

_SEGMENT = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^."'\s][^.]*))\s*(?:\.|$)""")


class AddressError(Exception):
    """An address that cannot be parsed, or that names nothing."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


def split_address(address: str) -> list[str]:
    """Return the names of an address; raise `AddressError`."""
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
        message = f"{quote(address)} is not an address"
        raise AddressError(message, "names are joined by dots, as in `stem.conv.out`")
    return names


def join_address(names: list[str]) -> str:
    """Return the address as messages show it."""
    return ".".join(names)


def default_name(kind: str, counts: dict[str, int], taken: Container[str]) -> str:
    """Return the name of an unnamed step: its op's, with a number from the second on.

    >>> counts = {}
    >>> [default_name("conv", counts, {"conv_2"}) for _ in range(3)]
    ['conv', 'conv_3', 'conv_4']
    """
    base = kind.replace(".", "_")
    count = counts.get(base, 0)
    while (name := base if count == 0 else f"{base}_{count + 1}") in taken:
        count += 1
    counts[base] = count + 1
    return name


@dataclass(slots=True, eq=False)
class StepRef:
    """A step by its list and its index there; `columns` are its table's if it is a row."""

    items: list[Tree]
    index: int
    columns: YamlList | None = None

    @property
    def step(self) -> Tree:
        return self.items[self.index]

    @property
    def titles(self) -> list[str]:
        if self.columns is None:
            return []
        return [column.text for column in self.columns.items if isinstance(column, YamlScalar)]

    @property
    def kind(self) -> str:
        """The op, block or structure; empty if the step has none."""
        step = self.step
        if isinstance(step, YamlMap):
            return next((key for key in step.entries if key not in RESERVED_KEYS), "")
        kind = self._cell("type") if isinstance(step, YamlList) else step
        return kind.text if isinstance(kind, YamlScalar) else ""

    @property
    def arguments(self) -> YamlMap | None:
        """The mapping under the op or block, if there is one."""
        value = self.step.get(self.kind) if isinstance(self.step, YamlMap) else None
        return value if isinstance(value, YamlMap) else None

    @property
    def name(self) -> str | None:
        """The name that it states."""
        name = self.step.get("name") if isinstance(self.step, YamlMap) else self._cell("name")
        return name.text if isinstance(name, YamlScalar) and name.value is not None else None

    @property
    def branches(self) -> dict[str, Tree]:
        """The bodies of a merge, by the names that paths give them."""
        if self.arguments is None or self.kind not in OPS or not OPS[self.kind].variadic:
            return {}
        prefix = f"{self.name}_" if self.name is not None else ""
        return {prefix + key.text: body for key, body in self.arguments}

    def _cell(self, title: str) -> Tree | None:
        titles = self.titles
        step = self.step
        if not isinstance(step, YamlList) or title not in titles or len(step.items) != len(titles):
            return None
        return step.items[titles.index(title)]


def steps_by_name(body: Tree | None) -> dict[str, StepRef]:
    """Return the steps of a body by name, stated or numbered, the rows of its tables among them."""
    counts: dict[str, int] = {}
    refs: dict[str, StepRef] = {}
    taken: set[str] = set()
    for ref in _step_refs(body):
        name = ref.name
        if name is None:
            name = default_name(ref.kind, counts, taken)
        refs.setdefault(name, ref)
        taken |= {name, *ref.branches}
    return refs


def _step_refs(body: Tree | None) -> Iterator[StepRef]:
    table = body.get("table") if isinstance(body, YamlMap) else None
    items = body.items if isinstance(body, YamlList) else []
    columns: YamlList | None = None
    if isinstance(table, YamlMap):
        rows, heads = table.get("rows"), table.get("columns")
        if isinstance(rows, YamlList) and isinstance(heads, YamlList):
            items, columns = rows.items, heads
    for index, item in enumerate(items):
        if isinstance(item, YamlMap) and "table" in item.entries:
            yield from _step_refs(item)
        else:
            yield StepRef(items, index, columns if isinstance(item, YamlList) else None)


def find_step(body: Tree, names: list[str], keep: int = 0) -> tuple[StepRef, list[str]]:
    """Return the step that an address leads to, and the names behind it, at least `keep` of them.

    Raises `AddressError`.
    """
    address = join_address(names)
    while True:
        refs = steps_by_name(body)
        ref = refs.get(names[0])
        inner = _inner_body(ref, names, keep) or _branch(refs, names[0])
        if inner is not None:
            body, names = inner[0], names[inner[1] :]
        elif ref is None:
            prefix = "" if address == names[0] else f"{quote(address)} names nothing: "
            message = f"{prefix}no step is called {quote(names[0])}"
            raise AddressError(message, did_you_mean(names[0], refs, "steps"))
        else:
            return ref, names[1:]
        if len(names) <= keep:
            message = f"{quote(address)} is a body, not a step"
            raise AddressError(message, "address a step inside it")


def _inner_body(ref: StepRef | None, names: list[str], keep: int) -> tuple[Tree, int] | None:
    """Return the body inside a step that further names lead into, and how many names that takes."""
    if ref is None or ref.arguments is None or len(names) - 1 <= keep:
        return None
    if ref.kind == "repeat":
        body = ref.arguments.get("body")
        return (body, 1) if body is not None else None
    body = ref.arguments.get(names[1]) if ref.branches else None
    return (body, 2) if body is not None else None


def _branch(refs: dict[str, StepRef], name: str) -> tuple[Tree, int] | None:
    """Return the branch of that name, if no step has it."""
    if name in refs:
        return None
    merges = (ref for ref in refs.values() if name in ref.branches)
    merge = next(merges, None)
    return (merge.branches[name], 1) if merge else None
