"""Write the constructor calls of a class in terms of its parameters.

On the way, find an expression for the channels of every value between the calls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from archspec.codegen.call_sites import CallSites
from archspec.codegen.expressions import const, name, substitute, sum_of, to_python
from archspec.codegen.layer_args import flattened_channels, hints_for, is_value, written_args
from archspec.codegen.lifting import GLOBAL, lift, passed
from archspec.codegen.loops import LoopBuilder
from archspec.codegen.lowering import REQUIRED, Arg
from archspec.codegen.module_tree import (
    EmittedClass,
    Instance,
    LayerCall,
    MergeCall,
    ModuleList,
    Param,
    Sequential,
    TreeNode,
)
from archspec.codegen.printer import Call, Code, List
from archspec.codegen.resolve import Channels, Resolver
from archspec.codegen.symbols import Symbols
from archspec.ir.expr import Attribute, Expr, names_in
from archspec.ir.graph import Graph, Scope

NO_ARGUMENTS: Mapping[str, Any] = {}


def resolve_class(
    graph: Graph, cls: EmittedClass, arguments: Mapping[str, Any] = NO_ARGUMENTS
) -> None:
    """Set the parameters of a class, its channels, and the code that constructs its children.

    `arguments` are those of the spec that the network's own class may have, with their defaults.
    """
    args = ConstructorArgs(graph, cls, arguments)
    args.resolve()
    if cls.scope is graph.root:
        # A parameter of the network that cannot be changed would mislead: where a value that
        # follows from it has to be a number, all of them become numbers.
        excluded: set[str] = set()
        while hardcoded := (args.resolver.hardcoded | args.resolver.lost) & args.symbols.used:
            excluded |= hardcoded
            args = ConstructorArgs(graph, cls, arguments, excluded)
            args.resolve()


class ConstructorArgs:
    """Walks the children of all instances of a class at once, in the order in which values flow.

    Methods take nodes that are `alike`: one per call site, to be constructed by the same code.
    """

    def __init__(
        self,
        graph: Graph,
        cls: EmittedClass,
        arguments: Mapping[str, Any] = NO_ARGUMENTS,
        excluded: Collection[str] = (),
    ) -> None:
        self.graph = graph
        self.cls = cls
        self.symbols = Symbols(graph, cls, arguments, excluded)
        self.resolver = Resolver(self.symbols)
        self.loops = LoopBuilder(self.resolver, self.node)
        self.class_scopes = frozenset(instance.scope for instance in cls.instances)
        self.equal_channels: list[tuple[Expr, Expr]] = []
        # The channels of each value by its index. A child that is not called may read a value
        # that does not come here, of which nothing is known.
        inputs = zip(cls.example.inputs, self.symbols.inputs, strict=True)
        self.value_channels: dict[int, Expr | None] = dict(inputs)

    def resolve(self) -> None:
        """Resolve the constructors of all children, then set the class's interface."""
        cls = self.cls
        # Instances share a structure: children at one position are built by the same code.
        for alike in zip(*(instance.children for instance in cls.instances), strict=True):
            child = alike[0]
            if isinstance(child, MergeCall):
                self.value_channels[child.outputs[0]] = self.merge(alike)
            elif isinstance(child, ModuleList):
                items = zip(*(node.children for node in alike), strict=True)
                cls.constructors[child] = cls.dialect.module_list(tuple(map(self.child, items)))
            else:
                cls.constructors[child] = self.child(alike)
        self.set_interface()

    def set_interface(self) -> None:
        """Set the class's parameters and channels, once all of its constructors are resolved."""
        cls = self.cls
        cls.params = self.symbols.params()
        cls.lost = frozenset(self.symbols.candidates[text].source for text in self.resolver.lost)
        candidates = self.symbols.candidates.items()
        cls.input_channels = tuple(text for text, param in candidates if param.source[0] == "in")
        names = {param.name for param in cls.params} | set(cls.input_channels)
        cls.equal_channels = tuple(
            (a, b) for a, b in self.equal_channels if names_in(a) | names_in(b) <= names
        )
        outputs = [self.value_channels[value] for value in cls.example.outputs]
        cls.output_channels = tuple(
            expr if expr is not None and names_in(expr) <= names else None for expr in outputs
        )

    def child(self, alike: Sequence[TreeNode]) -> Code:
        """Return the code for children of the class, and note the channels of their outputs."""
        entering = self.channels_of(alike[0].inputs)
        code, leaving = self.node(alike, self.symbols.sites, entering)
        self.value_channels.update(zip(alike[0].outputs, leaving, strict=True))
        return code

    def node(
        self, alike: Sequence[TreeNode], sites: CallSites, entering: Channels
    ) -> tuple[Code, Channels]:
        """Return the code for nodes and the channels that leave them, given those that enter."""
        match alike[0]:
            case LayerCall():
                return self.layer(alike, sites, entering[0])
            case Instance():
                return self.instance(alike, sites, entering)
            case Sequential(numbered=True):
                return self.repeat(alike, sites, entering)
            case Sequential():
                return self.sequence(alike, sites, entering)
            case _:
                raise TypeError(alike[0])

    def layer(
        self, alike: Sequence[Any], sites: CallSites, entering: Expr | None
    ) -> tuple[Code, Channels]:
        layers: Sequence[LayerCall] = alike
        steps = layers[0].module.layers
        positions = [
            (step, i) for step, module in enumerate(steps) for i in range(len(module.args))
        ]
        # Padding may be half the kernel, which is resolved first, whatever their order in calls.
        positions.sort(key=lambda position: _arg(layers[0], *position).hint == "half kernel")
        exprs: dict[Arg, Expr] = {}
        for step, i in positions:
            args = [_arg(layer, step, i) for layer in layers]
            hints = hints_for(args[0], exprs, entering)
            exprs[args[0]] = self.layer_arg(args, layers, sites, hints, entering)
        shape = self.graph.inputs(layers[0].node)[0]
        leaving = [expr for arg, expr in exprs.items() if arg.hint == "out"]
        candidates = [*leaving, entering, flattened_channels(entering, shape)]
        calls = tuple(Call(step.target, tuple(written_args(step.args, exprs))) for step in steps)
        code = calls[0] if len(calls) == 1 else List(calls)
        return code, [self.channels(layers, 0, sites, candidates)]

    def layer_arg(
        self,
        args: Sequence[Arg],
        layers: Sequence[LayerCall],
        sites: CallSites,
        hints: Channels,
        entering: Expr | None,
    ) -> Expr:
        """Return the expression for one argument, given it and its layer at each call site."""
        arg = args[0]
        values = [arg.value for arg in args]
        if arg.hint == "all":
            return const(all(values))
        nodes = [layer.node for layer in layers if arg.field in layer.node.exprs]
        return self.resolver.settle(
            values,
            sites,
            (arg.field or arg.name, layers[0].attr),
            hints=hints,
            written=[lift(node.exprs[arg.field], node.scope, self.class_scopes) for node in nodes],
            entering=entering,
            default=None if arg.default is REQUIRED else arg.default,
        )

    def instance(
        self, alike: Sequence[Any], sites: CallSites, entering: Channels
    ) -> tuple[Code, Channels]:
        instances: Sequence[Instance] = alike
        cls = instances[0].cls
        assert cls is not None
        # From here on, the inner class's names in terms of this class's.
        exprs: dict[str, Expr | None] = dict(zip(cls.input_channels, entering, strict=True))
        args: list[tuple[str, Code]] = []
        for param in cls.params:
            expr = self.instance_arg(param, instances, sites, entering)
            exprs[param.name] = expr
            if param.default is None or not is_value(expr, param.default):
                keyword = param.keyword or param.default is not None
                args.append((param.name if keyword else "", to_python(expr)))
        for source in cls.lost:
            exprs_lost = [self.written(instance, source) for instance in instances]
            self.resolver.lose(expr for expr in exprs_lost if expr is not None)
        for a, b in cls.equal_channels:
            self.require_equal(substitute(a, exprs), substitute(b, exprs))
        leaving = [
            self.channels(instances, i, sites, [expr and substitute(expr, exprs)])
            for i, expr in enumerate(cls.output_channels)
        ]
        return Call(cls, tuple(args)), leaving

    def instance_arg(
        self, param: Param, instances: Sequence[Instance], sites: CallSites, entering: Channels
    ) -> Expr:
        """Return the expression for one parameter of an inner class."""
        hints = entering[param.source[1] :][:1] if param.source[0] == "in" else ()
        written = [self.written(instance, param.source) for instance in instances]
        return self.resolver.settle(
            [param.values[instance.index] for instance in instances],
            sites,
            (param.name, instances[0].attr),
            hints=hints,
            written=[expr for expr in written if expr is not None],
            entering=entering[0],
            default=param.default,
        )

    def written(self, instance: Instance, source: tuple[Any, ...]) -> Expr | None:
        """Return what the spec passes for a parameter of that source, in terms of this class."""
        match source:
            case ("global", key):
                return name(GLOBAL + key)
            case ("arg", key, attribute):
                # A block's argument is written where the block is used, an iteration's counter is
                # known to the iteration itself.
                expr: Expr | None = name(key)
                scope: Scope | None = instance.scope
                if scope.kind in ("block", "head"):
                    expr, scope = passed(scope, key), scope.parent
                if expr is None or scope is None:
                    return None
                if attribute:
                    expr = Attribute(expr, attribute, (0, 0))
                return lift(expr, scope, self.class_scopes)
            case _:
                return None

    def merge(self, alike: Sequence[Any]) -> Expr | None:
        """Return the channels of a merge of values of the class."""
        merges: Sequence[MergeCall] = alike
        sites = self.symbols.sites
        entering = self.channels_of(merges[0].operands)
        if merges[0].merge.operator == "cat":
            terms = [expr for expr in entering if expr is not None]
            candidates: Channels = [sum_of(terms)] if len(terms) == len(entering) else []
            return self.channels(merges, 0, sites, candidates)
        for other in entering[1:]:
            self.require_equal(entering[0], other)
        return self.channels(merges, 0, sites, entering)

    def require_equal(self, a: Expr | None, b: Expr | None) -> None:
        """Note that two channel counts are added or multiplied.

        If their expressions differ, neither can be changed alone.
        """
        exprs = [expr for expr in (a, b) if expr is not None]
        names = frozenset[str]().union(*map(names_in, exprs))
        if not names or (len(exprs) == 2 and to_python(exprs[0]) == to_python(exprs[1])):
            return
        if a is not None and b is not None:
            self.equal_channels.append((a, b))
        self.resolver.hardcoded |= names

    def sequence(
        self, alike: Sequence[Any], sites: CallSites, entering: Channels
    ) -> tuple[Code, Channels]:
        sequences: Sequence[Sequential] = alike
        args: list[tuple[str, Code]] = []
        for children in zip(*(sequence.children for sequence in sequences), strict=True):
            code, entering = self.node(children, sites, entering)
            args.append((children[0].attr, code))
        return self.cls.dialect.sequential(tuple(args)), entering

    def repeat(
        self, alike: Sequence[Any], sites: CallSites, entering: Channels
    ) -> tuple[Code, Channels]:
        sequences: Sequence[Sequential] = alike
        args: list[Code] = []
        for segments in zip(*(sequence.segments for sequence in sequences), strict=True):
            code, entering = self.loops.build(segments, sites, entering[0], sequences[0].attr)
            args += code
        return self.cls.dialect.numbered(tuple(args)), entering

    def channels_of(self, values: Sequence[int]) -> Channels:
        return [self.value_channels.get(value) for value in values]

    def channels(
        self, alike: Sequence[TreeNode], output: int, sites: CallSites, candidates: Channels
    ) -> Expr | None:
        """Return the first candidate that gives the channels of an output at every call site."""
        counts = [self.graph.nodes[node.outputs[output]].shape[0] for node in alike]
        return self.resolver.channels(candidates, counts, sites)


def _arg(layer: LayerCall, step: int, position: int) -> Arg:
    return layer.module.layers[step].args[position]
