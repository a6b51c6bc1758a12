"""The constructor calls of a class, in the words of its parameters, and the channels of the values between them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from archspec.codegen.classes import EmittedClass, Param
from archspec.codegen.expressions import (
    apply,
    const,
    name,
    parameters,
    product_of,
    substitute,
    sum_of,
    to_python,
)
from archspec.codegen.loops import Channels, run_of
from archspec.codegen.lowering import REQUIRED, Arg
from archspec.codegen.module_tree import (
    Instance,
    LayerCall,
    MergeCall,
    ModuleList,
    Sequential,
    TreeNode,
)
from archspec.codegen.printer import Call, Code, List
from archspec.codegen.resolve import Resolver, same
from archspec.codegen.symbols import CallSites, Symbols, lift
from archspec.ir.expr import Attribute, Const, Expr
from archspec.ir.graph import Graph, Scope


def resolve_class(graph: Graph, cls: EmittedClass) -> None:
    """Settles the parameters of a class, and the code that builds its parts."""
    build = ConstructorArgs(graph, cls)
    build.run()
    if cls.scope is graph.root:
        # A parameter of the network that could not be changed would be a lie: where a value that follows from it has to
        # be a number, all of them are.
        left_out: set[str] = set()
        while found := build.resolver.hardcoded & build.symbols.used:
            left_out |= found
            build = ConstructorArgs(graph, cls, left_out)
            build.run()


class ConstructorArgs:
    """Goes through the parts of all instances of a class at once, in the order in which values flow."""

    def __init__(self, graph: Graph, cls: EmittedClass, left_out: Collection[str] = ()) -> None:
        self.graph, self.cls = graph, cls
        self.symbols = Symbols(graph, cls, left_out)
        self.resolver = Resolver(self.symbols)
        self.ends = frozenset(instance.scope for instance in cls.instances)
        self.equal: list[tuple[Expr, Expr]] = []

    def run(self) -> None:
        """Fills in what the class says of its parameters, its channels and its code."""
        cls, rows = self.cls, self.symbols.rows
        # A part that is not called may read a value that does not come here: there are no words for its channels.
        known: dict[int, Expr | None] = dict(
            zip(cls.example.inputs, self.symbols.inputs, strict=True)
        )

        def built(alike: Sequence[TreeNode]) -> Code:
            code, after = self.part(alike, rows, [known.get(value) for value in alike[0].inputs])
            known.update(zip(alike[0].outputs, after, strict=True))
            return code

        for alike in zip(*(instance.children for instance in cls.instances), strict=True):
            part = alike[0]
            if isinstance(part, MergeCall):
                known[part.outputs[0]] = self.join(
                    alike, [known.get(value) for value in part.operands], rows
                )
            elif isinstance(part, ModuleList):
                items = tuple(
                    built(inner) for inner in zip(*(each.parts for each in alike), strict=True)
                )
                cls.constructors[part] = cls.dialect.module_list(items)
            else:
                cls.constructors[part] = built(alike)
        cls.params = self.symbols.params()
        cls.input_channels = tuple(
            text for text, param in self.symbols.candidates.items() if param.source[0] == "in"
        )
        spoken = {param.name for param in cls.params} | set(cls.input_channels)
        cls.equal_channels = tuple(
            (a, b) for a, b in self.equal if parameters(a) | parameters(b) <= spoken
        )
        outputs = (known[value] for value in cls.example.outputs)
        cls.output_channels = tuple(
            c if c is not None and parameters(c) <= spoken else None for c in outputs
        )

    def part(
        self, alike: Sequence[TreeNode], rows: CallSites, entering: Channels
    ) -> tuple[Code, Channels]:
        """The code for parts that are alike, a row for each, given the channels that enter."""
        match alike[0]:
            case LayerCall():
                return self.leaf(alike, rows, entering[0])
            case Instance():
                return self.instance(alike, rows, entering)
            case Sequential(numbered=True):
                return self.repeat(alike, rows, entering)
            case Sequential():
                return self.sequence(alike, rows, entering)
            case _:
                raise TypeError(alike[0])

    def leaf(
        self, alike: Sequence[Any], rows: CallSites, entering: Expr | None
    ) -> tuple[Code, Channels]:
        leaves: Sequence[LayerCall] = alike
        steps, shape = leaves[0].module.layers, self.graph.inputs(leaves[0].node)[0]
        places = [(step, at) for step, module in enumerate(steps) for at in range(len(module.args))]
        found: dict[Arg, Expr] = {}
        # Padding may be half the kernel, whatever their order in the calls.
        for step, at in sorted(
            places, key=lambda place: steps[place[0]].args[place[1]].hint == "half kernel"
        ):
            arg = steps[step].args[at]
            values = [leaf.module.layers[step].args[at].value for leaf in leaves]
            if arg.hint == "all":
                found[arg] = const(all(values))
                continue
            given = [leaf.node for leaf in leaves if arg.field in leaf.node.exprs]
            found[arg] = self.resolver.settle(
                values,
                rows,
                (arg.field or arg.name, leaves[0].attr),
                hints=_hints(arg, found, entering),
                written=[lift(node.exprs[arg.field], node.scope, self.ends) for node in given],
                entering=entering,
                default=None if arg.default is REQUIRED else arg.default,
            )
        outward = [expr for arg, expr in found.items() if arg.hint == "out"]
        after = self.channels(leaves, 0, rows, [*outward, entering, _flattened(entering, shape)])
        calls = tuple(Call(module.target, tuple(_told(module.args, found))) for module in steps)
        return calls[0] if len(calls) == 1 else List(calls), [after]

    def instance(
        self, alike: Sequence[Any], rows: CallSites, entering: Channels
    ) -> tuple[Code, Channels]:
        instances: Sequence[Instance] = alike
        cls = instances[0].cls
        assert cls is not None
        found: dict[str, Expr | None] = dict(zip(cls.input_channels, entering, strict=True))
        args: list[tuple[str, Code]] = []
        for param in cls.params:
            expr = self.resolver.settle(
                [param.values[each.index] for each in instances],
                rows,
                (param.name, instances[0].attr),
                hints=entering[param.source[1] :][:1] if param.source[0] == "in" else (),
                written=[
                    expr for each in instances if (expr := self.given(each, param)) is not None
                ],
                entering=entering[0],
                default=param.default,
            )
            found[param.name] = expr
            if param.default is None or not _is(expr, param.default):
                keyword = param.keyword or param.default is not None
                args.append((param.name if keyword else "", to_python(expr)))
        for a, b in cls.equal_channels:
            self.agree(substitute(a, found), substitute(b, found))
        after = [channels and substitute(channels, found) for channels in cls.output_channels]
        return Call(cls, tuple(args)), [
            self.channels(instances, at, rows, [c]) for at, c in enumerate(after)
        ]

    def given(self, instance: Instance, param: Param) -> Expr | None:
        """What the spec gives an instance for a parameter, in this class's words."""
        scope: Scope | None = instance.scope
        match param.source:
            case ("global", key):
                return name(f"${key}")
            case ("arg", key, attribute):
                expr: Expr | None = name(key)
                if scope.kind in ("block", "head"):
                    expr, scope = scope.exprs.get(key), scope.parent
                if expr is None or scope is None:
                    return None
                return lift(
                    Attribute(expr, attribute, (0, 0)) if attribute else expr, scope, self.ends
                )
            case _:
                return None

    def join(self, alike: Sequence[Any], entering: Channels, rows: CallSites) -> Expr | None:
        joins: Sequence[MergeCall] = alike
        if joins[0].merge.operator == "cat":
            known = [expr for expr in entering if expr is not None]
            return self.channels(
                joins, 0, rows, [sum_of(known)] if len(known) == len(entering) else []
            )
        for other in entering[1:]:
            self.agree(entering[0], other)
        return self.channels(joins, 0, rows, entering)

    def agree(self, a: Expr | None, b: Expr | None) -> None:
        """Two channel counts that are added or multiplied: where their words differ, neither can be changed alone."""
        known = [expr for expr in (a, b) if expr is not None]
        names = frozenset[str]().union(*map(parameters, known))
        if names and (len(known) < 2 or to_python(known[0]) != to_python(known[1])):
            self.equal += [(a, b)] if a is not None and b is not None else []
            self.resolver.hardcoded |= names

    def sequence(
        self, alike: Sequence[Any], rows: CallSites, entering: Channels
    ) -> tuple[Code, Channels]:
        chains: Sequence[Sequential] = alike
        args: list[tuple[str, Code]] = []
        for inner in zip(*(each.children for each in chains), strict=True):
            code, entering = self.part(inner, rows, entering)
            args.append((inner[0].attr, code))
        return self.cls.dialect.sequential(tuple(args)), entering

    def repeat(
        self, alike: Sequence[Any], rows: CallSites, entering: Channels
    ) -> tuple[Code, Channels]:
        chains: Sequence[Sequential] = alike
        args: list[Code] = []
        for runs in zip(*(each.segments for each in chains), strict=True):
            code, entering = run_of(self, runs, rows, entering[0], chains[0].attr)
            args += code
        return self.cls.dialect.numbered(tuple(args)), entering

    def channels(
        self, parts: Sequence[TreeNode], place: int, rows: CallSites, candidates: Channels
    ) -> Expr | None:
        """Words for the channels of a value; the first of the candidates that is right."""
        return self.resolver.first_true(
            candidates, [self.graph.nodes[p.outputs[place]].shape[0] for p in parts], rows
        )


def _hints(arg: Arg, found: Mapping[Arg, Expr], entering: Expr | None) -> Channels:
    """Words that a value has by what it is."""
    if arg.hint == "in":
        return [entering]
    fields = {other.field: expr for other, expr in found.items()}
    if arg.hint == "half kernel" and "kernel" in fields:
        half = apply("//", fields["kernel"], const(2))
        return [product_of([fields.get("dilation", const(1)), half])]
    return []


def _flattened(entering: Expr | None, shape: tuple[int, ...]) -> Expr | None:
    """The features of a flattened value, spoken as `out * 7 * 7`."""
    if entering is None or math.prod(shape[1:]) == 1:
        return entering
    return product_of([entering, *map(const, shape[1:])])


def _told(args: Sequence[Arg], found: Mapping[Arg, Expr]) -> list[tuple[str, Code]]:
    """The arguments that are written: those that are not what the framework takes anyway."""
    told: list[tuple[str, Code]] = []
    named = {arg.name: found[arg] for arg in args}
    for arg in args:
        expr = named[arg.name]
        if (arg.default is REQUIRED or not _is(expr, arg.default)) and (
            not arg.like or expr != named[arg.like]
        ):
            told.append((arg.name if arg.keyword else "", to_python(expr)))
    return told


def _is(expr: Expr, value: Any) -> bool:
    return isinstance(expr, Const) and same(expr.value, value)
