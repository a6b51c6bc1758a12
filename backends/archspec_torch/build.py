"""The constructor calls of a class, in the words of its parameters, and the channels of the values between them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from archspec.expr import Attribute, Const, Expr
from archspec.graph import Graph, Scope
from archspec_torch.classes import Class, Param
from archspec_torch.expressions import apply, chain, const, name, parameters, product, show, substitute, summands, total
from archspec_torch.lowering import REQUIRED, Arg
from archspec_torch.parts import Chain, Instance, Join, Leaf, Part, Run, Several
from archspec_torch.resolve import Resolver, same
from archspec_torch.symbols import Rows, Symbols, lift
from archspec_torch.write import Call, Code, Items, Spread

Channels = list[Expr | None]
"""The channels of each value that a part gives; None where no words for them are known."""


def resolve(graph: Graph, cls: Class) -> None:
    """Settles the parameters of a class, and the code that builds its parts."""
    build = _Build(graph, cls)
    build.run()
    if cls.scope is graph.root:
        # A parameter of the network that could not be changed would be a lie: where some value that follows from it has
        # to be a number, they all are.
        left_out: set[str] = set()
        while found := build.resolver.lost & build.symbols.used:
            left_out |= found
            build = _Build(graph, cls, left_out)
            build.run()


class _Build:
    def __init__(self, graph: Graph, cls: Class, left_out: Collection[str] = ()) -> None:
        self.graph, self.cls = graph, cls
        self.symbols = Symbols(graph, cls, left_out)
        self.resolver = Resolver(self.symbols)
        self.ends = frozenset(instance.scope for instance in cls.instances)
        self.equal: list[tuple[Expr, Expr]] = []

    def run(self) -> None:
        cls, rows = self.cls, self.symbols.rows
        channels: dict[int, Expr | None] = dict(zip(cls.example.inputs, self.symbols.inputs, strict=True))
        for alike in zip(*(instance.parts for instance in cls.instances), strict=True):
            part = alike[0]
            if isinstance(part, Join):
                channels[part.outputs[0]] = self.join(alike, [channels[v] for v in part.operands], rows)
                continue
            if isinstance(part, Several):
                items: list[Code] = []
                for inner in zip(*(each.parts for each in alike), strict=True):
                    code, after = self.part(inner, rows, [channels[v] for v in inner[0].inputs])
                    channels.update(zip(inner[0].outputs, after, strict=True))
                    items.append(code)
                cls.code[part] = Call("nn.ModuleList", (("", Items(tuple(items))),))
                continue
            cls.code[part], after = self.part(alike, rows, [channels[v] for v in part.inputs])
            channels.update(zip(part.outputs, after, strict=True))
        cls.params = self.symbols.params()
        cls.entries = tuple(text for text, param in self.symbols.found.items() if param.source[0] == "in")
        spoken = {param.name for param in cls.params} | set(cls.entries)
        cls.equal = tuple((a, b) for a, b in self.equal if parameters(a) | parameters(b) <= spoken)
        outputs = (channels[value] for value in cls.example.outputs)
        cls.channels = tuple(c if c is not None and parameters(c) <= spoken else None for c in outputs)

    def part(self, alike: Sequence[Part], rows: Rows, entering: Channels) -> tuple[Code, Channels]:
        """The code for parts that are alike, a row for each, given the channels that enter."""
        match alike[0]:
            case Leaf():
                return self.leaf(alike, rows, entering[0])
            case Instance():
                return self.instance(alike, rows, entering)
            case Chain(numbered=True):
                return self.repeat(alike, rows, entering[0])
            case Chain():
                return self.sequence(alike, rows, entering[0])
            case _:
                raise TypeError(alike[0])

    def leaf(self, alike: Sequence[Any], rows: Rows, entering: Expr | None) -> tuple[Code, Channels]:
        leaves: Sequence[Leaf] = alike
        found: dict[str, Expr] = {}
        first = leaves[0]
        # Padding may be half the kernel, whatever their order in the call.
        for place in sorted(range(len(first.module.args)), key=lambda i: first.module.args[i].hint == "half kernel"):
            arg = first.module.args[place]
            values = [leaf.module.args[place].value for leaf in leaves]
            if arg.name == "inplace":
                found[arg.name] = const(all(values))
                continue
            written = [
                lift(leaf.node.exprs[arg.field], leaf.node.scope, self.ends) for leaf in leaves if arg.field in leaf.node.exprs
            ]
            found[arg.name] = self.resolver.settle(
                values,
                rows,
                (arg.field or arg.name, first.attr),
                hints=_hints(arg, found, entering, self.graph.inputs(first.node)[0]),
                written=written,
                entering=entering,
                default=None if arg.default is REQUIRED else arg.default,
            )
        code = Call(first.module.target, tuple(_told(first.module.args, found)))
        outward = [found[arg.name] for arg in first.module.args if arg.hint == "out"]
        shape = self.graph.inputs(first.node)[0]
        return code, [self.channels(leaves, 0, rows, [*outward, entering, _flattened(entering, shape)])]

    def instance(self, alike: Sequence[Any], rows: Rows, entering: Channels) -> tuple[Code, Channels]:
        instances: Sequence[Instance] = alike
        cls = instances[0].cls
        assert cls is not None
        found: dict[str, Expr | None] = dict(zip(cls.entries, entering, strict=True))
        args: list[tuple[str, Code]] = []
        for param in cls.params:
            values = [param.values[each.index] for each in instances]
            hints = [entering[param.source[1]]] if param.source[0] == "in" else []
            expr = self.resolver.settle(
                values,
                rows,
                (param.name, instances[0].attr),
                hints=hints,
                written=[e for each in instances if (e := self.given(each, param)) is not None],
                entering=entering[0],
                default=param.default,
            )
            found[param.name] = expr
            if param.default is None or not _is(expr, param.default):
                keyword = param.keyword or param.default is not None
                args.append((param.name if keyword else "", show(expr)))
        for a, b in cls.equal:
            self.agree(substitute(a, found), substitute(b, found))
        after = [c and substitute(c, found) for c in cls.channels]
        outputs = [self.channels(instances, place, rows, [c]) for place, c in enumerate(after)]
        return Call(cls, tuple(args)), outputs

    def given(self, instance: Instance, param: Param) -> Expr | None:
        """What the spec gives an instance for a parameter, in this class's words."""
        scope: Scope | None = instance.scope
        match param.source:
            case ("global", key):
                return name(f"${key}")
            case ("arg", key, attribute):
                if scope.kind in ("block", "head"):
                    expr, scope = scope.exprs.get(key), scope.parent
                else:
                    expr = name(key)
                if expr is None or scope is None:
                    return None
                return lift(Attribute(expr, attribute, (0, 0)) if attribute else expr, scope, self.ends)
            case _:
                return None

    def join(self, alike: Sequence[Any], entering: Channels, rows: Rows) -> Expr | None:
        joins: Sequence[Join] = alike
        known = [expr for expr in entering if expr is not None]
        if joins[0].merge.operator != "cat":
            for other in entering[1:]:
                self.agree(entering[0], other)
            return self.channels(joins, 0, rows, known)
        return self.channels(joins, 0, rows, [total(known)] if len(known) == len(entering) else [])

    def agree(self, a: Expr | None, b: Expr | None) -> None:
        """Two channel counts that are added or multiplied: where they differ in words, neither can be changed alone."""
        known = [expr for expr in (a, b) if expr is not None]
        names = frozenset[str]().union(*map(parameters, known))
        if names and (len(known) < 2 or show(known[0]) != show(known[1])):
            self.equal += [(a, b)] if a is not None and b is not None else []
            self.resolver.lost |= names

    def sequence(self, alike: Sequence[Any], rows: Rows, entering: Expr | None) -> tuple[Code, Channels]:
        chains: Sequence[Chain] = alike
        args: list[tuple[str, Code]] = []
        after: Channels = [entering]
        for inner in zip(*(chain.parts for chain in chains), strict=True):
            code, after = self.part(inner, rows, after)
            args.append((inner[0].attr, code))
        return Call("nn.Sequential", (("", Call("OrderedDict", tuple(args))),)), after

    def repeat(self, alike: Sequence[Any], rows: Rows, entering: Expr | None) -> tuple[Code, Channels]:
        chains: Sequence[Chain] = alike
        args: list[Code] = []
        after: Channels = [entering]
        for run in zip(*(chain.runs for chain in chains), strict=True):
            code, after = self.run_of(run, rows, after[0], chains[0].attr)
            args += code
        return Call("nn.Sequential", tuple(("", arg) for arg in args)), after

    def run_of(
        self, alike: Sequence[Run], rows: Rows, entering: Expr | None, attr: str
    ) -> tuple[list[Code], Channels]:
        """Iterations of one structure: each by itself where there are one or two, else a loop."""
        counts = [len(run.parts) for run in alike]
        start = alike[0].start
        if max(counts) == 1:
            code, after = self.part([run.parts[0] for run in alike], rows, [entering])
            return [code], after
        keys = {key for s in alike[0].parts[0].scope.chain() if s.kind == "repeat" for key in s.args}
        inner = rows.inside(counts, start, keys - set(rows.counters))
        parts = [part for run in alike for part in run.parts]
        before = [self.graph.nodes[part.inputs[0]].shape[0] for part in parts]
        enters = self.resolver.known([entering], before, inner)
        if enters is None:
            enters = self.resolver.progress(before, inner, [entering])
        outside, self.resolver.read = self.resolver.read, set()
        element, leaving = self.part(parts, inner, [enters])
        if finer := _growing(entering, leaving[0], enters, inner):
            self.resolver.read.clear()
            enters = finer
            element, leaving = self.part(parts, inner, [enters])
        counted = inner.counter in self.resolver.read
        self.resolver.read |= outside
        if not counted and max(counts) == min(counts) == 2:
            return [element, element], leaving
        stops = [start + count for count in counts]
        lengths = stops if counted else counts
        hints = [apply("-", name(text), const(start)) for text in self.symbols.found] if start and not counted else []
        hints = hints if len(set(lengths)) > 1 else []
        length = self.resolver.settle(lengths, rows, ("times", attr), hints=hints)
        numbers = f"range({start}, {show(length)})" if counted and start else f"range({show(length)})"
        stop = length if counted else total([length, const(start)])
        last = apply("-", stop, const(1))
        after = [substitute(enters, {inner.counter: stop}, keep=True)] if enters else []
        after += [substitute(c, {inner.counter: last}, keep=True) for c in leaving if c is not None]
        channels = self.channels([run.parts[-1] for run in alike], 0, rows, after)
        return [Spread(element, inner.counter if counted else "_", numbers)], [channels]

    def channels(self, parts: Sequence[Part], place: int, rows: Rows, candidates: Channels) -> Expr | None:
        """Words for the channels of a value; the first of the candidates that is right."""
        return self.resolver.known(candidates, [self.graph.nodes[p.outputs[place]].shape[0] for p in parts], rows)


def _growing(entering: Expr | None, leaving: Expr | None, enters: Expr | None, rows: Rows) -> Expr | None:
    """How channels grow in a loop from its start, in the words of what an iteration adds: `in_channels + i * growth`."""
    if entering is None or leaving is None or enters is None or rows.start or rows.counter not in parameters(enters):
        return None
    before, after = summands(enters), summands(leaving)
    added = after[len(before) :]
    if after[: len(before)] != before or not added or not parameters(total(added)):
        return None
    return chain("+", [entering, chain("*", [name(rows.counter), total(added)])])


def _hints(arg: Arg, found: Mapping[str, Expr], entering: Expr | None, shape: tuple[int, ...]) -> Channels:
    if arg.hint == "in":
        return [entering]
    if arg.hint == "half kernel" and "kernel_size" in found:
        half = apply("//", found["kernel_size"], const(2))
        dilation = found.get("dilation", const(1))
        return [half if _is(dilation, 1) else product([dilation, half])]
    return []


def _flattened(entering: Expr | None, shape: tuple[int, ...]) -> Expr | None:
    """The features of a flattened value, spoken as `out * 7 * 7`."""
    if entering is None or len(shape) < 2 or math.prod(shape[1:]) == 1:
        return entering
    return product([entering, *map(const, shape[1:])])


def _told(args: Sequence[Arg], found: Mapping[str, Expr]) -> list[tuple[str, Code]]:
    """The arguments that are written: those that are not what torch takes anyway."""
    told: list[tuple[str, Code]] = []
    for arg in args:
        expr = found[arg.name]
        if (arg.default is REQUIRED or not _is(expr, arg.default)) and (not arg.like or expr != found[arg.like]):
            told.append((arg.name if arg.keyword else "", show(expr)))
    return told


def _is(expr: Expr, value: Any) -> bool:
    return isinstance(expr, Const) and same(expr.value, value)
