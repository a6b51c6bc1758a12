"""Variants of a spec, on its tree: what `extends` overlays, and what `edit` and `--set` change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from archspec.diagnostics import Report, did_you_mean, quote
from archspec.frontend.address import AddressError, Place, find_step, join, split, steps
from archspec.frontend.arguments import coerce, type_of
from archspec.frontend.step import RESERVED, STRUCTURES
from archspec.frontend.tree import List, Map, Scalar, Tree, copy, data, describe, is_null, size
from archspec.ir.expr import ExprError
from archspec.ops import OPS

SHALLOW = ("args", "blocks")
"""Sections whose entries are replaced whole; the other mappings are overlaid key by key."""

SECTIONS = ("source", "claims", "preprocess", "train")
"""Those with keys of their own, which an address may begin where the spec has none."""

EDITS = ("set", "insert_before", "insert_after", "replace", "remove")
MAX_WORK = 10_000_000
"""Addresses in `edit`, times the size of the spec that they are looked up in."""


def overlay(base: Map, top: Map) -> Map:
    """`top` over `base`: a null removes, a mapping merges, anything else replaces."""
    under = {key: entry for key, entry in base.entries.items() if key not in ("extends", "edit")}
    over = {key: entry for key, entry in top.entries.items() if key not in ("extends", "edit")}
    merged = Map(under, top.source, top.start, top.end)
    for name, (key, value) in over.items():
        below = merged.get(name)
        if isinstance(value, Map) and isinstance(below, Map) and name != "network":
            merged.put(key, _merge(below, value, deep=name not in SHALLOW))
        else:
            _lay(merged, key, value)
    return merged


def _merge(base: Map, top: Map, deep: bool) -> Map:
    merged = Map(dict(base.entries), top.source, top.start, top.end)
    for key, value in top:
        below = merged.get(key.text)
        if deep and isinstance(value, Map) and isinstance(below, Map):
            merged.put(key, _merge(below, value, deep))
        else:
            _lay(merged, key, value)
    return merged


def _lay(merged: Map, key: Scalar, value: Tree) -> None:
    """A null over nothing stays: whoever reads it there says that a value is missing."""
    if is_null(value) and key.text in merged.entries:
        del merged.entries[key.text]
    else:
        merged.put(key, value)


def apply_edits(tree: Map, edits: Tree, report: Report) -> Map:
    """The tree with a spec's `edit` list carried out; what cannot be is reported."""
    if not isinstance(edits, List):
        if not is_null(edits):
            report.error(
                "AS0204", edits.span, f"`edit` is a list of edits, found {describe(edits)}"
            )
        return tree
    if size(edits) * size(tree) > MAX_WORK:
        report.error(
            "AS0106",
            edits.span,
            "too many edits of too large a spec",
            help="write the network anew",
        )
        return tree
    entries = {
        key: (entry[0], copy(entry[1])) for key, entry in tree.entries.items() if key != "edit"
    }
    tree = Map(entries, tree.source, tree.start, tree.end)
    for edit in edits.items:
        if not isinstance(edit, Map):
            message = f"an edit is a mapping, found {describe(edit)}"
            report.error(
                "AS0204", edit.span, message, help="as in `set: {classes: 10}` or `remove: conv1`"
            )
            continue
        for key, value in edit:
            _edit(tree, key, value, report)
    return tree


def _edit(tree: Map, key: Scalar, value: Tree, report: Report) -> None:
    pairs: list[tuple[Scalar, Tree | None]] = []
    if key.text not in EDITS:
        help = did_you_mean(key.text, EDITS, "edits")
        report.error("AS0202", key.span, f"unknown edit {quote(key.text)}", help=help)
    elif key.text == "remove":
        for target in value.items if isinstance(value, List) else [value]:
            if isinstance(target, Scalar):
                pairs.append((target, None))
            else:
                message = f"`remove` takes an address or a list of them, found {describe(target)}"
                report.error("AS0204", target.span, message)
    elif isinstance(value, Map):
        pairs.extend(value)
    else:
        message = f"`{key.text}` takes a mapping of addresses to values, found {describe(value)}"
        report.error("AS0204", value.span, message)
    for address, wanted in pairs:
        change(tree, key.text, address, wanted, report)


def change(
    tree: Map,
    how: str,
    address: Scalar,
    value: Tree | None,
    report: Report,
    names: list[str] | None = None,
) -> None:
    """Carries out one edit; what is wrong with it is reported. `names` are the address where it needs no reading."""
    try:
        names = names or split(address.text)
        if how == "set" and value is not None:
            set_value(tree, names, value, address)
        else:
            _change_steps(tree, names, how, value)
    except AddressError as error:
        report.error("AS0411", address.span, error.message, help=error.help)
    except ExprError as error:
        span = address.span if value is None else value.span
        report.error(error.code, span, f"{quote(address.text)}: {error.message}", help=error.help)


def set_value(tree: Map, names: list[str], value: Tree, at: Scalar) -> None:
    """Sets what an address names; raises `AddressError` where that is nowhere, `ExprError` for a wrong type."""
    args, network = tree.get("args"), tree.get("network")
    known = args.entries if isinstance(args, Map) else {}
    if names[0] == "args" and len(names) == 2:
        if names[1] not in known:
            raise AddressError(
                f"there is no argument {quote(names[1])}",
                did_you_mean(names[1], known, "arguments"),
            )
        names = names[1:]
    elif names[0] == "network" and len(names) > 1:
        _set_in_body(network, names[1:], value, at)
        return
    if len(names) == 1 and isinstance(args, Map) and names[0] in known:
        before = args.get(names[0])
        if isinstance(before, Scalar) and before.value is not None:
            coerce(type_of(before.value), data(value))
        args.put(args.key(names[0]), value)
    elif names[0] not in ("network", "archspec") and (
        names[0] in tree.entries or names[0] in _opened(names, network)
    ):
        _set_in_section(tree, names, value, at)
    else:
        _set_in_body(network, names, value, at, [*known, *tree.entries])


def _opened(names: list[str], network: Tree | None) -> tuple[str, ...]:
    """The sections that an address may begin; a step of the same name comes first."""
    return SECTIONS if len(names) > 1 and names[0] not in steps(network) else ()


def _set_in_section(tree: Map, names: list[str], value: Tree, at: Scalar) -> None:
    here = cast("Tree", tree)
    for depth, name in enumerate(names[:-1]):
        if depth == 2 and names[0] == "blocks" and name not in ("args", "doc", "body"):
            _set_in_body(here.get("body") if isinstance(here, Map) else None, names[2:], value, at)
            return
        inner = here.get(name) if isinstance(here, Map) else None
        if inner is None and isinstance(here, Map) and names[0] in SECTIONS and not is_null(value):
            inner = _empty(at)
            here.put(Scalar(name, name, at.source, at.start, at.end), inner)
        if inner is None:
            known = here.entries if isinstance(here, Map) else ()
            raise _nothing(names, name, known)
        here = inner
    if not isinstance(here, Map):
        raise AddressError(f"{quote(join(names))} names nothing: {quote(names[-2])} holds no keys")
    if names[0] == "blocks" and len(names) == 3 and names[2] in steps(here.get("body")):
        raise _is_a_step(names)
    _put(here, names[-1], value, at)


def _put(here: Map, name: str, value: Tree, at: Scalar) -> None:
    """Sets a key, keeping its place; a null removes it."""
    if not is_null(value):
        here.put(
            here.key(name)
            if name in here.entries
            else Scalar(name, name, at.source, at.start, at.end),
            value,
        )
    elif name in here.entries:
        del here.entries[name]
    else:
        message = f"{quote(at.text)} removes nothing: there is no {quote(name)}"
        raise AddressError(message, did_you_mean(name, here.entries))


def _nothing(names: list[str], missing: str, known: Iterable[str]) -> AddressError:
    whole = f"{quote(join(names))} names nothing: " if len(names) > 1 else ""
    return AddressError(f"{whole}there is no {quote(missing)}", did_you_mean(missing, known))


def _is_a_step(names: list[str]) -> AddressError:
    help = f"address one of its arguments, as in `{names[-1][:40]}.out`"
    return AddressError(f"{quote(join(names))} is a step", help)


def _set_in_body(
    body: Tree | None, names: list[str], value: Tree, at: Scalar, also: list[str] | None = None
) -> None:
    """Sets an argument or key of a step; `also` are the other names that the first one could have been."""
    known = steps(body)
    if len(names) == 1 and names[0] in known:
        raise _is_a_step(names)
    if body is None or len(names) == 1:
        raise _nothing(names, names[0], [*(also or ()), *known])
    place, rest = find_step(body, names, keep=1)
    if len(rest) > 1:
        raise _inside(place, rest)
    _set_in_step(place, rest[0], value, at)


def _inside(place: Place, rest: list[str]) -> AddressError:
    if place.what in (*OPS, *STRUCTURES):
        return AddressError(f"{quote(place.what)} holds no {quote(join(rest))}")
    message = f"what is inside the block {quote(place.what)} belongs to every use"
    return AddressError(message, f"address {quote(join(['blocks', place.what, *rest]))}")


def _set_in_step(place: Place, name: str, value: Tree, at: Scalar) -> None:
    step, what = place.step, place.what
    if isinstance(step, List):
        _set_cell(place, step, name, value, at)
        return
    if isinstance(step, Scalar):
        step = Map({step.text: (step, _empty(step))}, step.source, step.start, step.end)
        place.items[place.index] = step
    if name in RESERVED:
        _put(step, name, value, at)
        return
    if not what:
        raise AddressError(f"{quote(at.text)} names nothing: the step has no op")
    if place.value is None:
        step.put(step.key(what), _empty(step.key(what)))
    inner = step.get(what)
    assert isinstance(inner, Map)
    _put(inner, name, value, at)


def _empty(key: Scalar) -> Map:
    return Map({}, key.source, key.start, key.end)


def _set_cell(place: Place, row: List, name: str, value: Tree, at: Scalar) -> None:
    assert place.columns is not None
    titles = place.titles
    if name in titles:
        row.items[titles.index(name)] = value
        return
    # An argument that the table has no column for gets one, empty in the other rows.
    place.columns.items.append(Scalar(name, name, at.source, at.start, at.end))
    for other in place.items:
        if isinstance(other, List):
            other.items.append(
                value if other is row else Scalar(None, "~", at.source, at.start, at.end)
            )


def _change_steps(tree: Map, names: list[str], how: str, value: Tree | None) -> None:
    """Inserts, replaces or removes steps."""
    body, path = tree.get("network"), names
    if names[0] == "blocks" and len(names) > 2:
        blocks = tree.get("blocks")
        block = blocks.get(names[1]) if isinstance(blocks, Map) else None
        body, path = block.get("body") if isinstance(block, Map) else None, names[2:]
    elif names[0] == "network" and len(names) > 1:
        path = names[1:]
    elif names[0] in tree.entries and names[0] not in steps(body):
        help = "to change a key, `set` it; to remove it, `set` it to `~`"
        raise AddressError(f"{quote(join(names))} is no step", help)
    if body is None:
        raise AddressError(f"{quote(join(names))} names nothing")
    place, rest = find_step(body, path)
    if rest:
        raise _inside(place, rest)
    new = value.items if isinstance(value, List) else [value] if value is not None else []
    start = place.index + 1 if how == "insert_after" else place.index
    place.items[start : place.index if how == "insert_before" else place.index + 1] = new
