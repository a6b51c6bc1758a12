"""Variants of a spec, on its tree: what `extends` overlays, what `edit` and `--set` change, and their addresses.

An address is a dotted path of names, quoted where a name holds a dot or begins with a quote: `classes`,
`inception_4a."#3x3"`, `blocks.convolution.conv.bias`, `heads.aux1.weight`.
"""

from __future__ import annotations

import re

from archspec.diagnostics import Report, did_you_mean, quote
from archspec.expr import ExprError
from archspec.ops import OPS
from archspec.spec.arguments import coerce, type_of
from archspec.spec.form import RESERVED
from archspec.spec.tree import List, Map, Scalar, Tree, copy, data, describe, is_null

SHALLOW = ("args", "blocks")
"""Sections whose entries are replaced whole; the other mappings are overlaid key by key."""

_SEGMENT = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^."']+(?:[^.]*[^.\s])?))\s*(?:\.|$)""")


class AddressError(Exception):
    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message, self.help = message, help


def overlay(base: Map, top: Map) -> Map:
    """`top` over `base`: a null removes, a mapping merges, anything else replaces."""
    merged = Map(dict(base.entries), top.source, top.start, top.end)
    for key in ("extends", "edit"):
        merged.entries.pop(key, None)
    for key, value in top:
        name, under = key.text, merged.get(key.text)
        if name in ("extends", "edit"):
            continue
        if is_null(value):
            merged.entries.pop(name, None)
        elif isinstance(value, Map) and isinstance(under, Map) and name != "network":
            merged.put(key, _merge(under, value, deep=name not in SHALLOW))
        else:
            merged.put(key, value)
    return merged


def _merge(base: Map, top: Map, deep: bool) -> Map:
    merged = Map(dict(base.entries), top.source, top.start, top.end)
    for key, value in top:
        under = merged.get(key.text)
        if is_null(value):
            merged.entries.pop(key.text, None)
        elif deep and isinstance(value, Map) and isinstance(under, Map):
            merged.put(key, _merge(under, value, deep))
        else:
            merged.put(key, value)
    return merged


def split(address: str) -> list[str]:
    """The names of an address; raises `AddressError`."""
    names: list[str] = []
    at = 0
    while at < len(address):
        match = _SEGMENT.match(address, at)
        if not match:
            raise AddressError(f"{quote(address)} is no address", 'names are joined by dots: stem."#3x3"')
        names.append(next(group for group in match.groups() if group is not None))
        at = match.end()
    if not names or address.endswith("."):
        raise AddressError(f"{quote(address)} is no address")
    return names


def apply_edits(tree: Map, edits: Tree, report: Report) -> Map:
    """The tree with a spec's `edit` list carried out; what cannot be is reported."""
    tree = _own(tree)
    if not isinstance(edits, List):
        if not is_null(edits):
            report.error("AS0204", edits.span, f"`edit` is a list of edits, found {describe(edits)}")
        return tree
    for edit in edits.items:
        for key, value in edit if isinstance(edit, Map) else ():
            _edit(tree, key, value, report)
        if not isinstance(edit, Map):
            report.error("AS0204", edit.span, "an edit is a mapping such as `set: {classes: 10}` or `remove: conv1`")
    return tree


def _own(tree: Map) -> Map:
    owned = copy(tree)
    assert isinstance(owned, Map)
    return owned


def _edit(tree: Map, key: Scalar, value: Tree, report: Report) -> None:
    if key.text == "remove":
        targets = value.items if isinstance(value, List) else [value]
        pairs = [(t, None) for t in targets if isinstance(t, Scalar)]
        if len(pairs) < len(targets):
            report.error("AS0204", value.span, "`remove` takes an address or a list of them")
    elif key.text in ("set", "insert_before", "insert_after", "replace"):
        if not isinstance(value, Map):
            report.error("AS0204", value.span, f"`{key.text}` takes a mapping of addresses to values")
            return
        pairs = list(value)
    else:
        help = did_you_mean(key.text, ("set", "insert_before", "insert_after", "replace", "remove"), "edits")
        report.error("AS0202", key.span, f"unknown edit {quote(key.text)}", help=help)
        return
    for address, wanted in pairs:
        try:
            names = split(address.text)
            if key.text == "set":
                assert wanted is not None
                set_value(tree, names, wanted, address)
            else:
                _change_steps(tree, names, key.text, wanted)
        except AddressError as error:
            report.error("AS0411", address.span, error.message, help=error.help)
        except ExprError as error:
            assert wanted is not None
            report.error(error.code, wanted.span, f"{quote(address.text)}: {error.message}", help=error.help)


def set_value(tree: Map, names: list[str], value: Tree, at: Scalar) -> None:
    """Sets what an address names; raises `AddressError` where that is nowhere, `ExprError` for a wrong type."""
    args, network = tree.get("args"), tree.get("network")
    if isinstance(args, Map) and names[0] == "args" and len(names) == 2:
        names = names[1:]
    if isinstance(args, Map) and len(names) == 1 and names[0] in args.entries:
        before = args.get(names[0])
        if isinstance(before, Scalar):
            coerce(type_of(before.value), data(value))
        args.put(args.key(names[0]), value)
    elif names[0] in tree.entries and names[0] not in ("network", "archspec"):
        _set_in_section(tree, names, value, at)
    elif network is not None and len(names) > 1 and names[0] in dict(_steps(network)):
        _set_in_body(network, names, value, at)
    else:
        known = [
            *(args.entries if isinstance(args, Map) else ()),
            *dict(_steps(network) if network else ()),
            *tree.entries,
        ]
        shown = quote(".".join(names))
        if network is not None and names[0] in dict(_steps(network)):
            raise AddressError(f"{shown} is a step: address one of its arguments", f"as in `{names[0][:40]}.out`")
        raise AddressError(f"{shown} names nothing: there is no {quote(names[0])}", did_you_mean(names[0], known))


def _set_in_section(tree: Map, names: list[str], value: Tree, at: Scalar) -> None:
    here: Tree = tree
    for depth, name in enumerate(names[:-1]):
        inner = here.get(name) if isinstance(here, Map) else None
        if inner is None:
            known = list(here.entries) if isinstance(here, Map) else []
            raise AddressError(
                f"{quote('.'.join(names))} names nothing: there is no {quote(name)}", did_you_mean(name, known)
            )
        here = inner
        if depth == 1 and names[0] == "blocks" and isinstance(here, Map) and names[2] not in ("args", "doc", "body"):
            body = here.get("body")
            if body is not None:
                _set_in_body(body, names[2:], value, at)
                return
    if not isinstance(here, Map):
        raise AddressError(f"{quote('.'.join(names))} names nothing: {quote(names[-2])} holds no keys")
    _put(here, names[-1], value, at)


def _put(here: Map, name: str, value: Tree, at: Scalar) -> None:
    """Sets a key, keeping its spelling's place; a null removes it."""
    if is_null(value):
        here.entries.pop(name, None)
    else:
        here.put(here.key(name) if name in here.entries else Scalar(name, name, at.source, at.start, at.end), value)


Place = tuple[list[Tree], int, List | None]
"""A step's list, its index there, and the table's columns where it is a row."""


def _steps(body: Tree) -> list[tuple[str, Place]]:
    """The steps of a body under the names that neutral paths give them."""
    found: list[tuple[str, Place]] = []
    taken: dict[str, int] = {}

    def add(name: str | None, what: str, place: Place) -> None:
        if name is None:
            base = what.replace(".", "_")
            taken[base] = taken.get(base, 0) + 1
            name = base if taken[base] == 1 else f"{base}_{taken[base]}"
        found.append((name, place))

    def walk(items: list[Tree], columns: List | None) -> None:
        titles = [c.text for c in columns.items if isinstance(c, Scalar)] if columns else []
        for index, item in enumerate(items):
            place = (items, index, columns if isinstance(item, List) else None)
            if isinstance(item, List) and len(item.items) == len(titles):
                cells = {t: c for t, c in zip(titles, item.items, strict=True) if isinstance(c, Scalar)}
                name = cells.get("name")
                what = cells.get("type")
                add(name.text if name and name.value is not None else None, what.text if what else "", place)
            elif isinstance(item, Scalar):
                add(None, item.text, place)
            elif isinstance(item, Map):
                table = item.get("table")
                if isinstance(table, Map):
                    enter(table)
                    continue
                name = item.get("name")
                whats = [k for k in item.entries if k not in RESERVED]
                add(name.text if isinstance(name, Scalar) else None, whats[0] if whats else "", place)

    def enter(table: Map) -> None:
        rows, columns = table.get("rows"), table.get("columns")
        if isinstance(rows, List) and isinstance(columns, List):
            walk(rows.items, columns)

    if isinstance(body, List):
        walk(body.items, None)
    elif isinstance(body, Map) and isinstance(table := body.get("table"), Map):
        enter(table)
    return found


def _find(body: Tree, name: str, whole: list[str]) -> Place:
    steps = _steps(body)
    for known, place in steps:
        if known == name:
            return place
    message = f"{quote('.'.join(whole))} names nothing: no step is called {quote(name)}"
    raise AddressError(message, did_you_mean(name, [n for n, _ in steps], "steps"))


def _set_in_body(body: Tree, names: list[str], value: Tree, at: Scalar) -> None:
    body, names = _descend(body, names)
    if len(names) == 1:
        raise AddressError(f"{quote('.'.join(names))} is a step: address one of its arguments")
    items, index, columns = _find(body, names[0], names)
    step = items[index]
    if len(names) > 2:
        message = f"{quote(names[0])} is an instance of a block: what is inside belongs to every use"
        raise AddressError(message, "address the block: `blocks.NAME.step.argument`")
    if columns is not None:
        assert isinstance(step, List)
        _set_cell(step, columns, items, names[1], value, at)
        return
    if isinstance(step, Scalar):
        step = items[index] = Map({step.text: (step, _empty(step))}, step.source, step.start, step.end)
    assert isinstance(step, Map)
    if names[1] in RESERVED:
        _put(step, names[1], value, at)
        return
    what = next((k for k in step.entries if k not in RESERVED), None)
    if what is None:
        raise AddressError(f"{quote(names[0])} has no op")
    inner = step.get(what)
    if not isinstance(inner, Map):
        inner = _empty(step.key(what))
        step.put(step.key(what), inner)
    _put(inner, names[1], value, at)


def _descend(body: Tree, names: list[str]) -> tuple[Tree, list[str]]:
    """Into branches and repeats, as far as the names lead: the body that holds the step, and the names left."""
    while len(names) > 2:
        inner: Tree | None = None
        taken = 1
        for known, (items, index, _) in _steps(body):
            step = items[index]
            what = next((k for k in step.entries if k not in RESERVED), "") if isinstance(step, Map) else ""
            value = step.get(what) if isinstance(step, Map) else None
            if not isinstance(value, Map):
                continue
            if what == "repeat" and known == names[0]:
                inner = value.get("body")
            elif what in OPS and OPS[what].many:
                if known == names[0] and names[1] in value.entries:
                    inner, taken = value.get(names[1]), 2
                elif names[0] in value.entries:
                    inner = value.get(names[0])
            if inner is not None:
                break
        if inner is None:
            break
        body, names = inner, names[taken:]
    return body, names


def _empty(key: Scalar) -> Map:
    return Map({}, key.source, key.start, key.end)


def _set_cell(row: List, columns: List, items: list[Tree], name: str, value: Tree, at: Scalar) -> None:
    titles = [c.text for c in columns.items if isinstance(c, Scalar)]
    if name in titles:
        row.items[titles.index(name)] = value
        return
    # An argument that the table has no column for gets one, empty in the other rows.
    columns.items.append(Scalar(name, name, at.source, at.start, at.end))
    for other in items:
        if isinstance(other, List):
            other.items.append(value if other is row else Scalar(None, "~", at.source, at.start, at.end))


def _change_steps(tree: Map, names: list[str], how: str, value: Tree | None) -> None:
    if names[0] == "blocks" and len(names) > 2:
        blocks = tree.get("blocks")
        block = blocks.get(names[1]) if isinstance(blocks, Map) else None
        body = block.get("body") if isinstance(block, Map) else None
        names = names[2:]
    else:
        body = tree.get("network")
    if body is None:
        raise AddressError(f"{quote('.'.join(names))} names nothing")
    body, rest = _descend(body, [*names, ""])
    items, index, _ = _find(body, rest[0], names)
    if len(rest) > 2:
        raise AddressError(f"{quote('.'.join(names))} lies inside a block", "address the block: `blocks.NAME.step`")
    steps = value.items if isinstance(value, List) else [value] if value is not None else []
    start = index + 1 if how == "insert_after" else index
    items[start : index if how == "insert_before" else index + 1] = steps
