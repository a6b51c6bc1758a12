"""Which scopes share a class: those of one block with the same parts, wired the same way, whatever their values.

Classes are formed from the inside out, so that a scope's structure can name the classes of the scopes within it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from archspec.expr import Expr
from archspec.graph import Graph, Scope
from archspec_torch.loops import Run, runs
from archspec_torch.names import Namespace, class_name, identifier
from archspec_torch.parts import Chain, Instance, Join, Leaf, Part, Several, network


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a class: its value in each instance, and what a call's place for it is called in the spec.

    `source` is `("arg", name, part)`, `("global", name)`, `("in", number)` for the channels of an input, or `("new",)`.
    """

    name: str
    values: tuple[Any, ...]
    source: tuple[Any, ...]
    keyword: bool = False
    default: Any = None
    has_default: bool = False


@dataclass(eq=False)
class Class:
    """A class to be written. `channels` are those of its outputs, in the words of its parameters, where they can be."""

    name: str
    instances: list[Instance]
    params: list[Param] = field(default_factory=list[Param])
    channels: tuple[Expr | None, ...] = ()
    code: dict[Part, Any] = field(default_factory=dict[Part, Any])

    @property
    def example(self) -> Instance:
        """The instance that the source is written from; its parts are keys of `code`."""
        return self.instances[0]

    @property
    def scope(self) -> Scope:
        return self.example.scope


def form_classes(graph: Graph, resolve: Any) -> list[Class]:
    """Every class, inner ones first, the network itself last; `resolve(cls)` settles the parameters of each."""
    top = network(graph)
    levels: dict[int, list[Instance]] = {}
    _measure(top, levels)
    space = Namespace()
    space.take(class_name(graph.name))
    classes: list[Class] = []
    for height in sorted(levels):
        found: dict[Hashable, list[Instance]] = {}
        for instance in levels[height]:
            found.setdefault(_signature(instance), []).append(instance)
        for instances in found.values():
            first = instances[0]
            name = class_name(graph.name) if first is top else space.take(_class_name(first.scope), "")
            cls = Class(name, instances)
            for index, instance in enumerate(instances):
                instance.cls, instance.index = cls, index
                name_attributes(instance)
            resolve(cls)
            classes.append(cls)
    return _in_order(top, classes)


def _measure(instance: Instance, levels: dict[int, list[Instance]]) -> int:
    """Sorts instances by how deep the classes within them go."""
    height = max((_measure(inner, levels) + 1 for part in instance.parts for inner in _inner(part)), default=0)
    levels.setdefault(height, []).append(instance)
    return height


def _inner(part: Part) -> Iterator[Instance]:
    if isinstance(part, Instance):
        yield part
    elif isinstance(part, Chain | Several):
        for child in part.parts:
            yield from _inner(child)


def _in_order(top: Instance, classes: list[Class]) -> list[Class]:
    """The classes as they are met, each after those it uses."""
    seen: dict[Class, None] = {}

    def visit(instance: Instance) -> None:
        cls = instance.cls
        assert cls is not None
        if cls not in seen:
            for part in instance.parts:
                for inner in _inner(part):
                    visit(inner)
            seen[cls] = None

    visit(top)
    return list(seen)


def _signature(instance: Instance) -> Hashable:
    """What the instances of one class have in common."""
    local = {value: place for place, value in enumerate(instance.inputs)}
    wiring: list[Hashable] = []
    for part in instance.steps():
        wiring.append(tuple(local[value] for value in _operands(part)))
        local.update({value: len(local) + place for place, value in enumerate(part.outputs)})
    parts = tuple((part.name, _shape(part)) for part in instance.parts)
    owner = _owner(instance.scope)
    place = "" if owner is instance.scope else _role(instance.scope)
    return owner.block or owner.kind, place, parts, tuple(wiring), tuple(local[value] for value in instance.outputs)


def _operands(part: Part) -> tuple[int, ...]:
    """As the op reads them: a merge may read a value twice."""
    return part.node.inputs if isinstance(part, Join) else part.inputs


def _shape(part: Part) -> Hashable:
    match part:
        case Leaf(module=module):
            return module.target, tuple(arg.name for arg in module.args)
        case Join(merge=merge):
            return merge.operator
        case Chain(numbered=True):
            part.runs = runs(part.parts)
            return tuple((run.start, _shape(run.parts[0])) for run in part.runs)
        case Chain() | Several():
            return tuple((child.name, _shape(child)) for child in part.parts)
        case Instance(cls=cls):
            return cls
        case _:
            raise TypeError(part)


def _owner(scope: Scope) -> Scope:
    """The block in whose words a scope is written."""
    return next(s for s in scope.chain() if s.kind in ("network", "block", "head"))


def _role(scope: Scope) -> str:
    """What a scope is called in every instance: a branch by its name, an iteration by its repeat's."""
    parent = scope.parent
    return parent.name if scope.kind == "repeat" and parent is not None and parent.kind == "repeat" else scope.name


def _class_name(scope: Scope) -> str:
    owner = _owner(scope)
    base = class_name(owner.block or "Network")
    return base if owner is scope else class_name(f"{base} {_role(scope)}")


def name_attributes(instance: Instance) -> None:
    """Gives every part the attribute that holds it."""
    space = Namespace()
    for part in instance.parts:
        if isinstance(part, Join):
            continue
        part.attr = space.take(identifier(part.name))
        _name_children(part)


def _name_children(part: Part) -> None:
    if not isinstance(part, Chain | Several):
        return
    space = Namespace()
    numbered = isinstance(part, Several) or part.numbered
    for number, child in enumerate(part.parts):
        child.attr = str(number) if numbered else space.take(identifier(child.name))
        _name_children(child)
