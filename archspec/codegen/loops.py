"""Emit the iterations of a repeat as one loop.

For example: `*(DenseLayer(in_channels + i * growth, growth) for i in range(layers))`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archspec.codegen.call_sites import CallSites
from archspec.codegen.expressions import (
    apply,
    const,
    join_operands,
    name,
    substitute,
    sum_of,
    summands,
    to_python,
)
from archspec.codegen.module_tree import LoopSegment, TreeNode
from archspec.codegen.printer import Code, Starred
from archspec.codegen.resolve import Channels, Resolver
from archspec.ir.expr import Expr, names_in

BuildNode = Callable[[Sequence[TreeNode], CallSites, Channels], tuple[Code, Channels]]
"""Emits nodes that are alike, one per call site, and returns the channels that leave them."""


@dataclass(frozen=True, slots=True)
class LoopBuilder:
    """Emits loops, and their bodies by `build_node`."""

    resolver: Resolver
    build_node: BuildNode

    def build(
        self, segments: Sequence[LoopSegment], sites: CallSites, entering: Expr | None, attr: str
    ) -> tuple[list[Code], Channels]:
        """Return the code for segments that are alike, one per call site, and the channels after.

        One iteration is emitted as it is, and so are two that do not depend on a counter.
        """
        counts = [len(segment.iterations) for segment in segments]
        start = segments[0].start
        if max(counts) == 1:
            firsts = [segment.iterations[0] for segment in segments]
            code, leaving = self.build_node(firsts, sites, [entering])
            return [code], leaving
        symbols = self.resolver.symbols
        spec_counters = _repeat_counters(segments[0]) - set(sites.counters)
        inner = sites.in_loop(counts, start, symbols.counter(sites), spec_counters)
        body = self._body(segments, inner, entering)
        reads_counter = body.reads_counter or symbols.cls.dialect.portable_paths
        # Two equal calls read better than a loop over them.
        if not reads_counter and max(counts) == min(counts) == 2:
            return [body.code, body.code], body.leaving
        length = self._length(counts, start, sites, attr, reads_counter)
        first = start if reads_counter else 0
        last = apply("-", sum_of([length, const(0 if reads_counter else start)]), const(1))
        leaving = self._leaving(segments, sites, body, inner.counter, last)
        counter = inner.counter if reads_counter else "_"
        return [Starred(body.code, counter, _range(first, length))], [leaving]

    def _body(
        self, segments: Sequence[LoopSegment], inner: CallSites, entering: Expr | None
    ) -> _Body:
        """Emit one iteration, with the channels that enter it in terms of the counter."""
        resolver = self.resolver
        nodes = [node for segment in segments for node in segment.iterations]
        before = [resolver.symbols.graph.nodes[node.inputs[0]].shape[0] for node in nodes]
        enters = resolver.channels([entering], before, inner)
        # They stay the same or grow evenly: segments are cut where they do not.
        enters = enters or resolver.in_loop(before, inner, [entering])
        # Only what this iteration reads decides whether it needs the counter.
        outer_names = resolver.names_read
        resolver.names_read = set()
        code, leaving = self.build_node(nodes, inner, [enters])
        growing = _growing(entering, leaving[0], enters, inner)
        if growing is not None and resolver.fits(growing, before, inner):
            enters = growing
            resolver.names_read = set()
            code, leaving = self.build_node(nodes, inner, [enters])
        reads_counter = inner.counter in resolver.names_read
        resolver.names_read |= outer_names
        return _Body(code, enters, leaving, reads_counter)

    def _length(
        self, counts: list[int], start: int, sites: CallSites, attr: str, reads_counter: bool
    ) -> Expr:
        """Return the number of iterations, or the end of the range where the counter is read."""
        lengths = [start + count for count in counts] if reads_counter else counts
        hints: list[Expr] = []
        if start and not reads_counter and len(set(lengths)) > 1:
            candidates = self.resolver.symbols.candidates
            hints = [apply("-", name(text), const(start)) for text in candidates]
        return self.resolver.settle(lengths, sites, ("times", attr), hints=hints)

    def _leaving(
        self,
        segments: Sequence[LoopSegment],
        sites: CallSites,
        body: _Body,
        counter: str,
        last: Expr,
    ) -> Expr | None:
        """Return the channels after the loop: those that would enter one more iteration."""
        candidates: Channels = []
        if body.enters:
            past_end = {counter: sum_of([last, const(1)])}
            candidates.append(substitute(body.enters, past_end, keep=True))
        candidates += [
            substitute(channels, {counter: last}, keep=True)
            for channels in body.leaving
            if channels is not None
        ]
        nodes = self.resolver.symbols.graph.nodes
        values = [nodes[segment.iterations[-1].outputs[0]].shape[0] for segment in segments]
        return self.resolver.channels(candidates, values, sites)


@dataclass(frozen=True, slots=True)
class _Body:
    """One iteration of a loop: its code, and the channels that enter and leave it."""

    code: Code
    enters: Expr | None
    leaving: Channels
    reads_counter: bool


def _repeat_counters(segment: LoopSegment) -> set[str]:
    """Return the spec's names for the counters of the repeats around a segment."""
    scopes = segment.iterations[0].scope.chain()
    return {key for scope in scopes if scope.kind == "repeat" for key in scope.args}


def _range(first: int, end: Expr) -> str:
    return f"range({first}, {to_python(end)})" if first else f"range({to_python(end)})"


def _growing(
    entering: Expr | None, leaving: Expr | None, enters: Expr | None, sites: CallSites
) -> Expr | None:
    """Return the channels that enter an iteration as `entering + i * (what an iteration adds)`."""
    if entering is None or leaving is None or enters is None:
        return None
    if sites.first or sites.counter not in names_in(enters):
        return None
    before = summands(enters)
    after = summands(leaving)
    added = after[len(before) :]
    if after[: len(before)] != before or not added or not names_in(sum_of(added)):
        return None
    growth = join_operands("*", [name(sites.counter), sum_of(added)])
    return join_operands("+", [entering, growth])
