"""The iterations of a repeat as one loop: `*(DenseLayer(in_channels + i * growth, growth) for i in range(layers))`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archspec.codegen.expressions import (
    apply,
    const,
    join_operands,
    name,
    parameters,
    substitute,
    sum_of,
    summands,
    to_python,
)
from archspec.codegen.module_tree import LoopSegment
from archspec.codegen.printer import Code, Starred
from archspec.codegen.symbols import CallSites
from archspec.ir.expr import Expr

if TYPE_CHECKING:
    from archspec.codegen.constructor_args import ConstructorArgs

Channels = list[Expr | None]
"""The channels of each value that a part takes or gives; None where no words for them are known."""


def run_of(
    build: ConstructorArgs,
    alike: Sequence[LoopSegment],
    rows: CallSites,
    entering: Expr | None,
    attr: str,
) -> tuple[list[Code], Channels]:
    """The code for iterations of one structure, a run for each row: by themselves where there are one or two."""
    counts, start = [len(run.iterations) for run in alike], alike[0].start
    if max(counts) == 1:
        code, after = build.part([run.iterations[0] for run in alike], rows, [entering])
        return [code], after
    keys = {
        key
        for scope in alike[0].iterations[0].scope.chain()
        if scope.kind == "repeat"
        for key in scope.args
    }
    inner = rows.inside(counts, start, build.symbols.counter(rows), keys - set(rows.counters))
    enters, element, leaving, counted = _element(build, alike, inner, entering)
    counted = counted or build.cls.dialect.portable_paths
    if not counted and max(counts) == min(counts) == 2:
        return [element, element], leaving
    length, numbers = _numbers(build, counts, start, rows, attr, counted)
    last = apply("-", sum_of([length, const(0 if counted else start)]), const(1))
    after = (
        [substitute(enters, {inner.counter: sum_of([last, const(1)])}, keep=True)] if enters else []
    )
    after += [
        substitute(each, {inner.counter: last}, keep=True) for each in leaving if each is not None
    ]
    channels = build.channels([run.iterations[-1] for run in alike], 0, rows, after)
    return [Starred(element, inner.counter if counted else "_", numbers)], [channels]


def _element(
    build: ConstructorArgs, alike: Sequence[LoopSegment], inner: CallSites, entering: Expr | None
) -> tuple[Expr | None, Code, Channels, bool]:
    """The channels that enter an iteration, its code, the channels that leave it, and whether the counter is read."""
    resolver = build.resolver
    parts = [part for run in alike for part in run.iterations]
    before = [build.graph.nodes[part.inputs[0]].shape[0] for part in parts]
    enters = resolver.first_true([entering], before, inner) or resolver.in_loop(
        before, inner, [entering]
    )
    outside, resolver.names_read = resolver.names_read, set()
    element, leaving = build.part(parts, inner, [enters])
    finer = _growing(entering, leaving[0], enters, inner)
    if finer is not None and resolver.fits(finer, before, inner):
        enters, resolver.names_read = finer, set()
        element, leaving = build.part(parts, inner, [enters])
    counted = inner.counter in resolver.names_read
    resolver.names_read |= outside
    return enters, element, leaving, counted


def _numbers(
    build: ConstructorArgs, counts: list[int], start: int, rows: CallSites, attr: str, counted: bool
) -> tuple[Expr, str]:
    """How often, or up to which number, and the range that says so."""
    lengths = [start + count for count in counts] if counted else counts
    less = (
        [apply("-", name(text), const(start)) for text in build.symbols.candidates]
        if start and not counted
        else []
    )
    hints = less if len(set(lengths)) > 1 else []
    length = build.resolver.settle(lengths, rows, ("times", attr), hints=hints)
    return (
        length,
        f"range({start}, {to_python(length)})"
        if counted and start
        else f"range({to_python(length)})",
    )


def _growing(
    entering: Expr | None, leaving: Expr | None, enters: Expr | None, rows: CallSites
) -> Expr | None:
    """How channels grow in a loop from its start, in the words of what an iteration adds."""
    if (
        entering is None
        or leaving is None
        or enters is None
        or rows.first
        or rows.counter not in parameters(enters)
    ):
        return None
    before, after = summands(enters), summands(leaving)
    added = after[len(before) :]
    if after[: len(before)] != before or not added or not parameters(sum_of(added)):
        return None
    return join_operands("+", [entering, join_operands("*", [name(rows.counter), sum_of(added)])])
