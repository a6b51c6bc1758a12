"""The names that a class can use: its candidate parameters, and spec expressions over them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Mapping
from typing import Any

from archspec.codegen.call_sites import CallSites
from archspec.codegen.expressions import const, name, python_division, rewrite
from archspec.codegen.lifting import COUNTER, GLOBAL
from archspec.codegen.lowering import compact
from archspec.codegen.module_tree import EmittedClass, Param
from archspec.codegen.names import Namespace
from archspec.codegen.scopes import scopes_to_block
from archspec.ir.expr import Apply, Attribute, Const, Expr, Name, names_in
from archspec.ir.graph import Graph, Scope
from archspec.ir.types import Patch

# Written as keywords in calls, so that a bare number is always a channel count.
_KEYWORDS = frozenset(("kernel", "stride", "padding", "dilation", "groups", "size", "scale"))
_DEFAULTS = {"stride": 1, "dilation": 1, "groups": 1}


class Symbols:
    """The candidate parameters of a class, without those `excluded`.

    `arguments` are those of the spec that the network's own class may have, with their defaults.
    `used` are the candidates that some value needs: these become parameters of the class.
    """

    def __init__(
        self,
        graph: Graph,
        cls: EmittedClass,
        arguments: Mapping[str, Any],
        excluded: Collection[str] = (),
    ) -> None:
        self.graph = graph
        self.cls = cls
        self.arguments = arguments
        self.identifier = cls.dialect.identifier
        self.is_network = cls.scope is graph.root
        self.candidates: dict[str, Param] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.used: set[str] = set()
        self.excluded = excluded
        self.namespace = Namespace()
        self.counters: list[str] = []
        self.sites = CallSites([ChainMap[str, Any]({}) for _ in cls.instances])
        self.inputs = [self._input_channels(i) for i in range(len(cls.example.inputs))]
        self._declare_arguments()

    def _input_channels(self, position: int) -> Expr:
        values = [
            self.graph.nodes[instance.inputs[position]].shape[0] for instance in self.cls.instances
        ]
        if self.is_network:
            return const(values[0])
        shape = self.graph.nodes[self.cls.example.inputs[position]].shape
        prefix = "skip" if position else "in"
        unit = "features" if len(shape) == 1 else "channels"
        return name(self._add(f"{prefix}_{unit}", values, ("in", position), None))

    def _declare_arguments(self) -> None:
        scopes = scopes_to_block(self.cls.scope)
        for depth, scope in enumerate(scopes):
            if scope.kind != "network":
                per_instance = [
                    scopes_to_block(instance.scope)[depth] for instance in self.cls.instances
                ]
                self._declare_scope_arguments(scope, per_instance)
        if scopes[-1].kind == "network":
            count = len(self.cls.instances)
            for key, value in self.graph.root.args.items():
                if self.is_network and key not in self.arguments:
                    continue
                default = self.arguments[key] if self.is_network else None
                self._declare(key, "", [value] * count, ("global", key), default=default)

    def _declare_scope_arguments(self, scope: Scope, per_instance: list[Scope]) -> None:
        """Declare the arguments of a block or an iteration, given that scope of each instance."""
        patch_count = sum(isinstance(value, Patch) for value in scope.args.values())
        for key, value in scope.args.items():
            values = [other.args.get(key) for other in per_instance]
            if isinstance(value, Patch):
                self._declare_patch(scope, key, values, is_only_patch=patch_count == 1)
            elif not isinstance(value, list):
                self._declare(key, "", [compact(v) for v in values], ("arg", key, ""))

    def _declare_patch(
        self, scope: Scope, key: str, values: list[Any], *, is_only_patch: bool
    ) -> None:
        """Declare a parameter for each attribute of an argument such as `7x7/2`."""
        for attribute in Patch._fields:
            is_unique = is_only_patch and attribute not in scope.args
            text = attribute if is_unique else f"{key} {attribute}"
            sizes = [compact(getattr(value, attribute, None)) for value in values]
            self._declare(key, attribute, sizes, ("arg", key, attribute), text)

    def _declare(
        self,
        key: str,
        attribute: str,
        values: list[Any],
        source: tuple[Any, ...],
        text: str = "",
        default: Any = None,
    ) -> None:
        param_name = self._add(self.identifier(text or key, "n"), values, source, default)
        if param_name in self.excluded:
            return
        self.names[key, attribute] = param_name
        if source[0] == "global":
            self.names[GLOBAL + key, attribute] = param_name

    def _add(
        self, preferred_name: str, values: list[Any], source: tuple[Any, ...], default: Any
    ) -> str:
        param_name = self.namespace.unique(preferred_name)
        # Only counts are clear without a keyword.
        keyword = param_name in _KEYWORDS or not all(type(value) is int for value in values)
        default = _DEFAULTS.get(param_name) if default is None else default
        self.candidates[param_name] = Param(param_name, tuple(values), source, keyword, default)
        for environment, value in zip(self.sites.environments, values, strict=True):
            environment[param_name] = value
        return param_name

    def global_argument(self, key: str) -> str:
        """Return the parameter that passes an argument of the network on; add it if needed."""
        if (GLOBAL + key, "") not in self.names:
            values = [self.graph.root.args[key]] * len(self.cls.instances)
            param_name = self._add(self.identifier(key, "n"), values, ("global", key), None)
            self.names[GLOBAL + key, ""] = param_name
        return self.names[GLOBAL + key, ""]

    def new_param(self, preferred_name: str, layer: str, values: list[Any], default: Any) -> Expr:
        """Add a parameter that no argument of the block stands for.

        If its name is taken, the layer's name goes before it.
        """
        text = self.identifier(preferred_name)
        if text in self.namespace.taken:
            text = self.identifier(f"{layer} {preferred_name}")
        return name(self._add(text, values, ("new",), default))

    def counter(self, sites: CallSites) -> str:
        """Return the counter for a loop at these sites; loops side by side share one."""
        depth = 0 if sites.outer is None else self.counters.index(sites.counter) + 1
        if depth == len(self.counters):
            # Without l and o, which read as digits.
            free = (letter for letter in "ijkmnpq" if letter not in self.namespace.taken)
            self.counters.append(self.namespace.unique(next(free, "i")))
        return self.counters[depth]

    def translate(self, expr: Expr, entering: Expr | None, sites: CallSites) -> Expr | None:
        """Return a spec expression in terms of the parameters, or None if they cannot express it.

        `entering` stands for `in.channels`.
        """
        translated = rewrite(expr, lambda leaf: self._leaf(leaf, entering, sites))
        if translated is None or _joins_text(translated):
            return None
        return python_division(translated, sites.environments)

    def _leaf(self, leaf: Expr, entering: Expr | None, sites: CallSites) -> Expr | None:
        match leaf:
            case Const(value, _):
                return None if isinstance(value, str) else const(value)
            case Attribute(Name("in", _), "channels", _):
                return entering
            case Attribute(Const(number, _), counter, _) if counter.startswith(COUNTER):
                return sites.counters.get(counter[1:], const(number))
            case Attribute(Name(key, _), attribute, _):
                return self._parameter(key, attribute)
            case Name(key, _) if key.startswith(GLOBAL) and not self.is_network:
                return name(self.global_argument(key[1:]))
            case Name(key, _):
                return self._parameter(key, "")
            case _:
                return None

    def _parameter(self, key: str, attribute: str) -> Expr | None:
        text = self.names.get((key, attribute))
        if text is None and not attribute and key in self.graph.root.args and not self.is_network:
            text = self.global_argument(key)
        return None if text is None else name(text)

    def read_by(self, expr: Expr) -> set[str]:
        """Return the candidates that a spec expression reads, in whatever way."""
        match expr:
            case Const():
                return set()
            case Name(key) if key.startswith(GLOBAL) and not self.is_network:
                return {self.global_argument(key[1:])}
            case Name(key):
                parts = {text for (other, _), text in self.names.items() if other == key}
                parameter = self._parameter(key, "")
                return parts if parameter is None else parts | names_in(parameter)
            case Attribute(of):
                return self.read_by(of)
            case Apply(_, args):
                return set[str]().union(*map(self.read_by, args))

    def params(self) -> list[Param]:
        """Return the used parameters: numbers first, then keywords, then those with defaults."""
        used = [param for text, param in self.candidates.items() if text in self.used]
        return sorted(used, key=lambda param: (param.default is not None, param.keyword))


def _joins_text(expr: Expr) -> bool:
    if not isinstance(expr, Apply):
        return False
    return expr.op == "join" or any(map(_joins_text, expr.args))
