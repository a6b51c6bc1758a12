"""The words that a class can use: its parameters as they stand in each instance, and how the spec's words become them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archspec.expr import Apply, Attribute, Const, Expr, Name
from archspec.graph import Graph, Scope
from archspec.types import Patch
from archspec_torch.classes import Class, Param
from archspec_torch.expressions import const, name, rewrite, settle_division
from archspec_torch.lowering import plain
from archspec_torch.names import Namespace, identifier
from archspec_torch.structure import block_of

# Written as keywords in calls, so that a bare number is always a channel count.
_KEYWORDS = frozenset(("kernel", "stride", "padding", "dilation", "groups", "size", "scale"))
_DEFAULTS = {"stride": 1, "dilation": 1, "groups": 1}
_GLOBAL = "$"  # marks a network argument in an expression; no argument's name can hold it


@dataclass(frozen=True, slots=True)
class Rows:
    """The places that one line of source stands for: what its words mean in each, and the instance that each is in."""

    envs: list[dict[str, Any]]
    owner: list[int]
    counter: str = ""

    def inside(self, counts: list[int], start: int, counter: str) -> Rows:
        """A row for every iteration of a loop."""
        envs = [{**env, counter: start + i} for env, n in zip(self.envs, counts, strict=True) for i in range(n)]
        return Rows(envs, [row for row, n in enumerate(counts) for _ in range(n)], counter)


class Symbols:
    """The parameters that a class may come to have; `used` are those that it has."""

    def __init__(self, graph: Graph, cls: Class) -> None:
        self.graph, self.cls = graph, cls
        self.found: dict[str, Param] = {}
        self.words: dict[tuple[str, str], str] = {}
        self.used: set[str] = set()
        self.space = Namespace()
        self.inputs = [self._channels(place) for place in range(len(cls.example.inputs))]
        block = block_of(cls.scope)
        if block.kind == "network":
            for key, value in graph.root.args.items():
                self._declare(key, "", [value] * len(cls.instances), ("global", key), default=value)
        for scope in _scopes_to(cls.scope, block):
            if scope.kind != "network":
                self._arguments(scope)
        self.rows = Rows(
            [{n: p.values[i] for n, p in self.found.items()} for i in range(len(cls.instances))],
            list(range(len(cls.instances))),
        )

    def _channels(self, place: int) -> Expr:
        values = [self.graph.nodes[instance.inputs[place]].shape[0] for instance in self.cls.instances]
        if self.cls.scope is self.graph.root:
            return const(values[0])
        text = self.space.take("in_channels" if place == 0 else "skip_channels")
        self.found[text] = Param(text, tuple(values), ("in", place))
        return name(text)

    def _arguments(self, scope: Scope) -> None:
        """The arguments of the block or iteration that encloses every instance at the same distance."""
        depth = len(list(_scopes_to(self.cls.scope, scope))) - 1
        enclosing = [list(instance.scope.chain())[depth] for instance in self.cls.instances]
        patches = sum(isinstance(value, Patch) for value in scope.args.values())
        for key, value in scope.args.items():
            values = [each.args.get(key) for each in enclosing]
            if isinstance(value, Patch):
                for attribute in Patch._fields:
                    text = attribute if patches == 1 and attribute not in scope.args else f"{key} {attribute}"
                    shown = [plain(getattr(v, attribute, None)) for v in values]
                    self._declare(key, attribute, shown, ("arg", key, attribute), text)
            elif not isinstance(value, list):
                self._declare(key, "", [plain(v) for v in values], ("arg", key, ""))

    def _declare(
        self, key: str, attribute: str, values: list[Any], source: tuple[Any, ...], text: str = "", default: Any = None
    ) -> None:
        found = self.space.take(identifier(text or key, "n"))
        if default is None:
            default = _DEFAULTS.get(found)
        self.found[found] = Param(found, tuple(values), source, _is_keyword(found, values), default)
        self.words[key, attribute] = found
        if source[0] == "global":
            self.words[_GLOBAL + key, attribute] = found

    def global_argument(self, key: str) -> str:
        """The parameter that passes an argument of the network on."""
        marked = (_GLOBAL + key, "")
        if marked not in self.words:
            text = self.space.take(identifier(key, "n"))
            values = [self.graph.root.args[key]] * len(self.cls.instances)
            self.found[text] = Param(text, tuple(values), ("global", key), _is_keyword(text, values))
            self.words[marked] = text
            for env, value in zip(self.rows.envs, values, strict=True):
                env[text] = value
        return self.words[marked]

    def new(self, wanted: str, values: list[Any], default: Any) -> Expr:
        """A parameter that no argument of the block stands for."""
        text = self.space.take(identifier(wanted))
        self.found[text] = Param(text, tuple(values), ("new",), _is_keyword(text, values), default)
        for env, value in zip(self.rows.envs, values, strict=True):
            env[text] = value
        return name(text)

    def translate(self, expr: Expr, entering: Expr | None, rows: Rows) -> Expr | None:
        """An expression of the spec in the parameters' words; None where it says something that they cannot."""

        def leaf(part: Expr) -> Expr | None:
            match part:
                case Const(value, _):
                    return None if isinstance(value, str) else part
                case Attribute(Name("in", _), "channels", _):
                    return entering
                case Attribute(Name(key, _), attribute, _):
                    return self._word(key, attribute)
                case Name(key, _) if key.startswith(_GLOBAL) and key[1:] in self.graph.root.args:
                    return name(self.global_argument(key[1:]))
                case Name(key, _):
                    return self._word(key, "")
                case _:
                    return None

        found = rewrite(expr, leaf)
        return None if found is None or _joins(found) else settle_division(found, rows.envs)

    def _word(self, key: str, attribute: str) -> Expr | None:
        text = self.words.get((key, attribute))
        return None if text is None else name(text)

    def params(self) -> list[Param]:
        """The parameters that are used: plain numbers first, then keywords, then those with defaults."""
        used = [param for text, param in self.found.items() if text in self.used]
        return sorted(used, key=lambda param: (param.default is not None, param.keyword))


def lift(expr: Expr, scope: Scope, end: Scope) -> Expr:
    """An expression written in `scope`, in the words that are understood in `end`, which encloses it."""
    while scope is not end and scope.parent is not None:
        expr = rewrite(expr, lambda leaf, scope=scope: _outward(leaf, scope)) or expr
        scope = scope.parent
    return expr


def _outward(leaf: Expr, scope: Scope) -> Expr:
    match leaf:
        case Name(key, at) if key in scope.args:
            return scope.exprs.get(key) or Const(scope.args[key], at)
        case Name(key, at) if scope.kind in ("block", "head") and key != "in" and not key.startswith(_GLOBAL):
            return Name(_GLOBAL + key, at)
        case Attribute(Name(key, _), attribute, at) if key in scope.args:
            given = scope.exprs.get(key)
            return Attribute(given, attribute, at) if given else const(plain(getattr(scope.args[key], attribute, None)))
        case _:
            return leaf


def _scopes_to(scope: Scope, end: Scope) -> list[Scope]:
    """From `end` inwards to `scope`, both included."""
    chain: list[Scope] = []
    for each in scope.chain():
        chain.append(each)
        if each is end:
            break
    return chain[::-1]


def _is_keyword(text: str, values: list[Any]) -> bool:
    return text in _KEYWORDS or not all(type(value) is int for value in values)


def _joins(expr: Expr) -> bool:
    return isinstance(expr, Apply) and (expr.op == "join" or any(map(_joins, expr.args)))


def written_arguments(scope: Scope) -> Mapping[str, Expr]:
    """How a block's arguments read where it is used."""
    return scope.exprs
