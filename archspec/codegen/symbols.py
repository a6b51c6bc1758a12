"""The words that a class can use: its parameters as they stand in each instance, and how a spec's words become them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archspec.codegen.classes import EmittedClass, Param
from archspec.codegen.expressions import const, name, python_division, rewrite
from archspec.codegen.lowering import compact
from archspec.codegen.names import Namespace
from archspec.codegen.signature import scopes_to_block
from archspec.ir.expr import Apply, Attribute, Const, Expr, Name
from archspec.ir.graph import Graph, Scope
from archspec.ir.types import Patch

# Written as keywords in calls, so that a bare number is always a channel count.
_KEYWORDS = frozenset(("kernel", "stride", "padding", "dilation", "groups", "size", "scale"))
_DEFAULTS = {"stride": 1, "dilation": 1, "groups": 1}

# Marks in lifted expressions that no argument's name can hold: an argument of the network, the counter of a repeat.
_GLOBAL, _COUNTER = "$", "{"


@dataclass(frozen=True, slots=True, eq=False)
class CallSites:
    """The places that one line of source stands for, and what its words mean in each.

    Within a loop there is a row for every iteration: `owner` is the row around it, `start` the number of the first,
    `counters` are the loops' counters by the spec's names for them.
    """

    environments: list[ChainMap[str, Any]]
    outer: CallSites | None = None
    outer_sites: Sequence[int] = ()
    first: int = 0
    counter: str = ""
    counters: Mapping[str, Expr] = field(default_factory=dict[str, Expr])

    def inside(self, counts: list[int], start: int, counter: str, keys: Iterable[str]) -> CallSites:
        """The rows of a loop whose iterations are counted by `keys` in the spec."""
        pairs = [(row, i) for row, count in enumerate(counts) for i in range(count)]
        envs = [self.environments[row].new_child({counter: start + i}) for row, i in pairs]
        counters = {**self.counters, **dict.fromkeys(keys, name(counter))}
        return CallSites(envs, self, [row for row, _ in pairs], start, counter, counters)


class Symbols:
    """The parameters that a class may come to have, but for those `left_out`; `used` are those that it has."""

    def __init__(self, graph: Graph, cls: EmittedClass, left_out: Collection[str] = ()) -> None:
        self.graph, self.cls, self.identifier = graph, cls, cls.dialect.identifier
        self.is_network = cls.scope is graph.root
        self.candidates: dict[str, Param] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.used: set[str] = set()
        self.excluded = left_out
        self.namespace = Namespace()
        self.counters: list[str] = []
        count = len(cls.instances)
        self.rows = CallSites([ChainMap[str, Any]({}) for _ in range(count)])
        self.inputs = [self._channels(place) for place in range(len(cls.example.inputs))]
        scopes = scopes_to_block(cls.scope)
        for depth, scope in enumerate(scopes):
            if scope.kind != "network":
                self._arguments(
                    scope, [scopes_to_block(instance.scope)[depth] for instance in cls.instances]
                )
        if scopes[-1].kind == "network":
            for key, value in graph.root.args.items():
                default = value if self.is_network else None
                self._declare(key, "", [value] * count, ("global", key), default=default)

    def _channels(self, place: int) -> Expr:
        values = [
            self.graph.nodes[instance.inputs[place]].shape[0] for instance in self.cls.instances
        ]
        if self.is_network:
            return const(values[0])
        vector = len(self.graph.nodes[self.cls.example.inputs[place]].shape) == 1
        text = f"{'skip' if place else 'in'}_{'features' if vector else 'channels'}"
        return name(self._add(text, values, ("in", place), None))

    def _arguments(self, scope: Scope, alike: list[Scope]) -> None:
        """What a block or an iteration is given; `alike` are the scopes in its place around each instance."""
        patches = sum(isinstance(value, Patch) for value in scope.args.values())
        for key, value in scope.args.items():
            values = [each.args.get(key) for each in alike]
            if isinstance(value, Patch):
                for attribute in Patch._fields:
                    text = (
                        attribute
                        if patches == 1 and attribute not in scope.args
                        else f"{key} {attribute}"
                    )
                    sizes = [compact(getattr(v, attribute, None)) for v in values]
                    self._declare(key, attribute, sizes, ("arg", key, attribute), text)
            elif not isinstance(value, list):
                self._declare(key, "", [compact(v) for v in values], ("arg", key, ""))

    def _declare(
        self,
        key: str,
        attribute: str,
        values: list[Any],
        source: tuple[Any, ...],
        text: str = "",
        default: Any = None,
    ) -> None:
        found = self._add(self.identifier(text or key, "n"), values, source, default)
        if found in self.excluded:
            return
        self.names[key, attribute] = found
        if source[0] == "global":
            self.names[_GLOBAL + key, attribute] = found

    def _add(self, wanted: str, values: list[Any], source: tuple[Any, ...], default: Any) -> str:
        found = self.namespace.unique(wanted)
        keyword = found in _KEYWORDS or not all(type(value) is int for value in values)
        default = _DEFAULTS.get(found) if default is None else default
        self.candidates[found] = Param(found, tuple(values), source, keyword, default)
        for env, value in zip(self.rows.environments, values, strict=True):
            env[found] = value
        return found

    def global_argument(self, key: str) -> str:
        """The parameter that passes an argument of the network on."""
        if (_GLOBAL + key, "") not in self.names:
            values = [self.graph.root.args[key]] * len(self.cls.instances)
            self.names[_GLOBAL + key, ""] = self._add(
                self.identifier(key, "n"), values, ("global", key), None
            )
        return self.names[_GLOBAL + key, ""]

    def new(self, wanted: str, whose: str, values: list[Any], default: Any) -> Expr:
        """A parameter that no argument of the block stands for; where its name is taken, with the layer's before it."""
        text = self.identifier(wanted)
        text = self.identifier(f"{whose} {wanted}") if text in self.namespace.taken else text
        return name(self._add(text, values, ("new",), default))

    def counter(self, rows: CallSites) -> str:
        """The counter of a loop within these rows; side by side, loops share one."""
        depth = 0 if rows.outer is None else self.counters.index(rows.counter) + 1
        if depth == len(self.counters):
            free = (letter for letter in "ijkmnpq" if letter not in self.namespace.taken)
            self.counters.append(self.namespace.unique(next(free, "i")))
        return self.counters[depth]

    def translate(self, expr: Expr, entering: Expr | None, rows: CallSites) -> Expr | None:
        """An expression of the spec in the parameters' words; None where it says something that they cannot."""

        def leaf(part: Expr) -> Expr | None:
            match part:
                case Const(value, _):
                    return None if isinstance(value, str) else const(value)
                case Attribute(Name("in", _), "channels", _):
                    return entering
                case Attribute(Const(number, _), counter, _) if counter.startswith(_COUNTER):
                    return rows.counters.get(counter[1:], const(number))
                case Attribute(Name(key, _), attribute, _):
                    return self._word(key, attribute)
                case Name(key, _) if key.startswith(_GLOBAL) and not self.is_network:
                    return name(self.global_argument(key[1:]))
                case Name(key, _):
                    return self._word(key, "")
                case _:
                    return None

        found = rewrite(expr, leaf)
        return None if found is None or _joins(found) else python_division(found, rows.environments)

    def _word(self, key: str, attribute: str) -> Expr | None:
        text = self.names.get((key, attribute))
        if text is None and not attribute and key in self.graph.root.args and not self.is_network:
            text = self.global_argument(key)
        return None if text is None else name(text)

    def params(self) -> list[Param]:
        """The parameters that are used: plain numbers first, then keywords, then those with defaults."""
        used = [param for text, param in self.candidates.items() if text in self.used]
        return sorted(used, key=lambda param: (param.default is not None, param.keyword))


def lift(expr: Expr, scope: Scope, ends: Collection[Scope]) -> Expr:
    """An expression written in `scope`, in the words that are understood in the one of `ends` which encloses it."""
    while scope not in ends and scope.parent is not None:
        expr = rewrite(expr, lambda leaf, scope=scope: _outward(leaf, scope)) or expr
        scope = scope.parent
    return expr


def _outward(leaf: Expr, scope: Scope) -> Expr:
    match leaf:
        case Name(key, at) if key in scope.args:
            if scope.kind == "repeat":
                return Attribute(Const(scope.args[key], at), _COUNTER + key, at)
            return scope.exprs.get(key) or Const(scope.args[key], at)
        case Name(key, at) if (
            scope.kind in ("block", "head") and key != "in" and not key.startswith(_GLOBAL)
        ):
            return Name(_GLOBAL + key, at)
        case Attribute(Name(key, _), attribute, at) if key in scope.args:
            given = scope.exprs.get(key)
            return (
                Attribute(given, attribute, at)
                if given
                else const(compact(getattr(scope.args[key], attribute, None)))
            )
        case _:
            return leaf


def _joins(expr: Expr) -> bool:
    return isinstance(expr, Apply) and (expr.op == "join" or any(map(_joins, expr.args)))
