"""Changes to a spec, on its tree: what `edit` and `--set` do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from archspec.diagnostics import Report, did_you_mean, quote
from archspec.frontend.address import (
    AddressError,
    StepRef,
    find_step,
    join_address,
    split_address,
    steps_by_name,
)
from archspec.frontend.arguments import coerce, infer_type
from archspec.frontend.step_keys import RESERVED_KEYS, STRUCTURES
from archspec.frontend.tree import (
    Tree,
    YamlList,
    YamlMap,
    YamlScalar,
    copy_tree,
    describe_tree,
    is_null,
    to_python,
    tree_size,
)
from archspec.ir.expr import ExprError
from archspec.ops import OPS

SECTIONS = ("source", "claims", "preprocess", "train")
"""Sections that an address may begin even where the spec has none: it creates them."""

EDIT_KINDS = ("set", "insert_before", "insert_after", "replace", "remove")
MAX_EDIT_WORK = 10_000_000
"""Addresses in `edit`, times the size of the spec that they are looked up in."""


def apply_edits(tree: YamlMap, edits: Tree, report: Report) -> YamlMap:
    """Return the tree with a spec's `edit` list applied; report the edits that cannot be."""
    if not isinstance(edits, YamlList):
        if not is_null(edits):
            message = f"`edit` is a list of edits, found {describe_tree(edits)}"
            report.error("AS0204", edits.span, message)
        return tree
    if tree_size(edits) * tree_size(tree) > MAX_EDIT_WORK:
        message = "too many edits of too large a spec"
        report.error("AS0106", edits.span, message, help="write the network anew")
        return tree
    entries = {
        name: (key, copy_tree(value))
        for name, (key, value) in tree.entries.items()
        if name != "edit"
    }
    tree = YamlMap(entries, tree.source, tree.start, tree.end)
    for edit in edits.items:
        if not isinstance(edit, YamlMap):
            message = f"an edit is a mapping, found {describe_tree(edit)}"
            help = "as in `set: {classes: 10}` or `remove: conv1`"
            report.error("AS0204", edit.span, message, help=help)
            continue
        for key, value in edit:
            for address, new in _targets(key, value, report):
                apply_edit(tree, key.text, address, new, report)
    return tree


def _targets(
    key: YamlScalar, value: Tree, report: Report
) -> Iterator[tuple[YamlScalar, Tree | None]]:
    """Yield each address of an edit with its new value; None for what is removed."""
    if key.text not in EDIT_KINDS:
        help = did_you_mean(key.text, EDIT_KINDS, "edits")
        report.error("AS0202", key.span, f"unknown edit {quote(key.text)}", help=help)
    elif key.text == "remove":
        for target in value.items if isinstance(value, YamlList) else [value]:
            if isinstance(target, YamlScalar):
                yield target, None
            else:
                description = describe_tree(target)
                message = f"`remove` takes an address or a list of them, found {description}"
                report.error("AS0204", target.span, message)
    elif isinstance(value, YamlMap):
        yield from value
    else:
        description = describe_tree(value)
        message = f"`{key.text}` takes a mapping of addresses to values, found {description}"
        report.error("AS0204", value.span, message)


def apply_edit(
    tree: YamlMap,
    kind: str,
    address: YamlScalar,
    value: Tree | None,
    report: Report,
    names: list[str] | None = None,
) -> None:
    """Apply one edit, or report why it cannot be. `names` is the address if it is split already."""
    try:
        names = names or split_address(address.text)
        if kind == "set" and value is not None:
            set_value(tree, names, value, address)
        else:
            _change_steps(tree, names, kind, value)
    except AddressError as error:
        report.error("AS0411", address.span, error.message, help=error.help)
    except ExprError as error:
        span = address.span if value is None else value.span
        report.error(error.code, span, f"{quote(address.text)}: {error.message}", help=error.help)


# Setting a value


def set_value(tree: YamlMap, names: list[str], value: Tree, at: YamlScalar) -> None:
    """Set the value that an address names.

    Raises `AddressError` if it names nothing, `ExprError` if an argument has another type.
    """
    args = tree.get("args")
    network = tree.get("network")
    arguments = args.entries if isinstance(args, YamlMap) else {}
    if names[0] == "args" and len(names) == 2:
        if names[1] not in arguments:
            help = did_you_mean(names[1], arguments, "arguments")
            raise AddressError(f"there is no argument {quote(names[1])}", help)
        names = names[1:]
    elif names[0] == "network" and len(names) > 1:
        _set_in_body(network, names[1:], value, at)
        return
    if len(names) == 1 and isinstance(args, YamlMap) and names[0] in arguments:
        _set_argument(args, names[0], value)
    elif _begins_section(names, tree):
        _set_in_section(tree, names, value, at)
    else:
        _set_in_body(network, names, value, at, [*arguments, *tree.entries])


def _set_argument(args: YamlMap, name: str, value: Tree) -> None:
    default = args.get(name)
    if isinstance(default, YamlScalar) and default.value is not None:
        coerce(infer_type(default.value), to_python(value))
    args.put(args.key(name), value)


def _begins_section(names: list[str], tree: YamlMap) -> bool:
    """Return True if an address leads into a section; a step of the same name comes first."""
    name = names[0]
    if name in ("network", "archspec"):
        return False
    if name in tree.entries:
        return True
    return len(names) > 1 and name in SECTIONS and name not in steps_by_name(tree.get("network"))


def _set_in_section(tree: YamlMap, names: list[str], value: Tree, at: YamlScalar) -> None:
    here = cast("Tree", tree)
    for depth, name in enumerate(names[:-1]):
        if depth == 2 and names[0] == "blocks" and name not in ("args", "doc", "body"):
            body = here.get("body") if isinstance(here, YamlMap) else None
            _set_in_body(body, names[2:], value, at)
            return
        inner = here.get(name) if isinstance(here, YamlMap) else None
        if (
            inner is None
            and isinstance(here, YamlMap)
            and names[0] in SECTIONS
            and not is_null(value)
        ):
            inner = _empty_map(at)
            here.put(_key(name, at), inner)
        if inner is None:
            raise _nothing(names, name, here.entries if isinstance(here, YamlMap) else ())
        here = inner
    if not isinstance(here, YamlMap):
        message = f"{quote(join_address(names))} names nothing: {quote(names[-2])} holds no keys"
        raise AddressError(message)
    if names[0] == "blocks" and len(names) == 3 and names[2] in steps_by_name(here.get("body")):
        raise _is_a_step(names)
    _put(here, names[-1], value, at)


def _set_in_body(
    body: Tree | None,
    names: list[str],
    value: Tree,
    at: YamlScalar,
    alternatives: Iterable[str] = (),
) -> None:
    """Set an argument or key of a step.

    `alternatives` are the names of other things that the first name could have meant.
    """
    steps = steps_by_name(body)
    if len(names) == 1 and names[0] in steps:
        raise _is_a_step(names)
    if body is None or len(names) == 1:
        raise _nothing(names, names[0], [*alternatives, *steps])
    ref, rest = find_step(body, names, keep=1)
    if len(rest) > 1:
        raise _inside_step(ref, rest)
    _set_in_step(ref, rest[0], value, at)


def _set_in_step(ref: StepRef, name: str, value: Tree, at: YamlScalar) -> None:
    step = ref.step
    if isinstance(step, YamlList):
        _set_cell(ref, step, name, value, at)
        return
    if isinstance(step, YamlScalar):
        # `- relu` becomes `- relu: {}`, which can hold arguments and keys.
        step = YamlMap({step.text: (step, _empty_map(step))}, step.source, step.start, step.end)
        ref.items[ref.index] = step
    if name in RESERVED_KEYS:
        _put(step, name, value, at)
        return
    kind = ref.kind
    if not kind:
        raise AddressError(f"{quote(at.text)} names nothing: the step has no op")
    if ref.arguments is None:
        step.put(step.key(kind), _empty_map(step.key(kind)))
    arguments = step.get(kind)
    assert isinstance(arguments, YamlMap)
    _put(arguments, name, value, at)


def _set_cell(ref: StepRef, row: YamlList, name: str, value: Tree, at: YamlScalar) -> None:
    assert ref.columns is not None
    titles = ref.titles
    if name in titles:
        row.items[titles.index(name)] = value
        return
    # An argument without a column gets one, empty in the other rows.
    ref.columns.items.append(_key(name, at))
    for other in ref.items:
        if isinstance(other, YamlList):
            empty = YamlScalar(None, "~", at.source, at.start, at.end)
            other.items.append(value if other is row else empty)


def _put(here: YamlMap, name: str, value: Tree, at: YamlScalar) -> None:
    """Set a key, which keeps its span if it is there already; a null removes it."""
    if not is_null(value):
        key = here.key(name) if name in here.entries else _key(name, at)
        here.put(key, value)
    elif name in here.entries:
        del here.entries[name]
    else:
        message = f"{quote(at.text)} removes nothing: there is no {quote(name)}"
        raise AddressError(message, did_you_mean(name, here.entries))


def _key(name: str, at: YamlScalar) -> YamlScalar:
    """Return a new key, located at the address that creates it."""
    return YamlScalar(name, name, at.source, at.start, at.end)


def _empty_map(at: YamlScalar) -> YamlMap:
    return YamlMap({}, at.source, at.start, at.end)


# Inserting, replacing and removing steps


def _change_steps(tree: YamlMap, names: list[str], kind: str, value: Tree | None) -> None:
    body, path = _body_of(tree, names)
    if body is None:
        raise AddressError(f"{quote(join_address(names))} names nothing")
    ref, rest = find_step(body, path)
    if rest:
        raise _inside_step(ref, rest)
    new: list[Tree] = []
    if value is not None:
        new = value.items if isinstance(value, YamlList) else [value]
    start = ref.index + 1 if kind == "insert_after" else ref.index
    end = ref.index if kind == "insert_before" else ref.index + 1
    ref.items[start:end] = new


def _body_of(tree: YamlMap, names: list[str]) -> tuple[Tree | None, list[str]]:
    """Return the body that an address leads into, and its names within."""
    network = tree.get("network")
    if names[0] == "blocks" and len(names) > 2:
        blocks = tree.get("blocks")
        block = blocks.get(names[1]) if isinstance(blocks, YamlMap) else None
        return block.get("body") if isinstance(block, YamlMap) else None, names[2:]
    if names[0] == "network" and len(names) > 1:
        return network, names[1:]
    if names[0] in tree.entries and names[0] not in steps_by_name(network):
        help = "to change a key, `set` it; to remove it, `set` it to `~`"
        raise AddressError(f"{quote(join_address(names))} is not a step", help)
    return network, names


# Errors


def _nothing(names: list[str], missing: str, alternatives: Iterable[str]) -> AddressError:
    prefix = f"{quote(join_address(names))} names nothing: " if len(names) > 1 else ""
    help = did_you_mean(missing, alternatives)
    return AddressError(f"{prefix}there is no {quote(missing)}", help)


def _is_a_step(names: list[str]) -> AddressError:
    help = f"address one of its arguments, as in `{names[-1][:40]}.out`"
    return AddressError(f"{quote(join_address(names))} is a step", help)


def _inside_step(ref: StepRef, rest: list[str]) -> AddressError:
    if ref.kind in OPS or ref.kind in STRUCTURES:
        return AddressError(f"{quote(ref.kind)} holds no {quote(join_address(rest))}")
    message = f"what is inside the block {quote(ref.kind)} belongs to every use"
    address = join_address(["blocks", ref.kind, *rest])
    return AddressError(message, f"address {quote(address)}")
