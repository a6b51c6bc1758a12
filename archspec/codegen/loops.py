"""The iterations of a repeat as one loop: `*(DenseLayer(in_channels + i * growth, growth) for i in range(layers))`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archspec.codegen.expressions import (
    apply,
    chain,
    const,
    name,
    parameters,
    show,
    substitute,
    summands,
    total,
)
from archspec.codegen.module_tree import Run
from archspec.codegen.printer import Code, Spread
from archspec.codegen.symbols import Rows
from archspec.ir.expr import Expr

if TYPE_CHECKING:
    from archspec.codegen.constructor_args import Build

Channels = list[Expr | None]
"""The channels of each value that a part takes or gives; None where no words for them are known."""


def run_of(
    build: Build, alike: Sequence[Run], rows: Rows, entering: Expr | None, attr: str
) -> tuple[list[Code], Channels]:
    """The code for iterations of one structure, a run for each row: by themselves where there are one or two."""
    counts, start = [len(run.parts) for run in alike], alike[0].start
    if max(counts) == 1:
        code, after = build.part([run.parts[0] for run in alike], rows, [entering])
        return [code], after
    keys = {
        key
        for scope in alike[0].parts[0].scope.chain()
        if scope.kind == "repeat"
        for key in scope.args
    }
    inner = rows.inside(counts, start, build.symbols.counter(rows), keys - set(rows.counters))
    enters, element, leaving, counted = _element(build, alike, inner, entering)
    counted = counted or build.cls.dialect.paths
    if not counted and max(counts) == min(counts) == 2:
        return [element, element], leaving
    length, numbers = _numbers(build, counts, start, rows, attr, counted)
    last = apply("-", total([length, const(0 if counted else start)]), const(1))
    after = (
        [substitute(enters, {inner.counter: total([last, const(1)])}, keep=True)] if enters else []
    )
    after += [
        substitute(each, {inner.counter: last}, keep=True) for each in leaving if each is not None
    ]
    channels = build.channels([run.parts[-1] for run in alike], 0, rows, after)
    return [Spread(element, inner.counter if counted else "_", numbers)], [channels]


def _element(
    build: Build, alike: Sequence[Run], inner: Rows, entering: Expr | None
) -> tuple[Expr | None, Code, Channels, bool]:
    """The channels that enter an iteration, its code, the channels that leave it, and whether the counter is read."""
    resolver = build.resolver
    parts = [part for run in alike for part in run.parts]
    before = [build.graph.nodes[part.inputs[0]].shape[0] for part in parts]
    enters = resolver.known([entering], before, inner) or resolver.progress(
        before, inner, [entering]
    )
    outside, resolver.read = resolver.read, set()
    element, leaving = build.part(parts, inner, [enters])
    finer = _growing(entering, leaving[0], enters, inner)
    if finer is not None and resolver.fits(finer, before, inner):
        enters, resolver.read = finer, set()
        element, leaving = build.part(parts, inner, [enters])
    counted = inner.counter in resolver.read
    resolver.read |= outside
    return enters, element, leaving, counted


def _numbers(
    build: Build, counts: list[int], start: int, rows: Rows, attr: str, counted: bool
) -> tuple[Expr, str]:
    """How often, or up to which number, and the range that says so."""
    lengths = [start + count for count in counts] if counted else counts
    less = (
        [apply("-", name(text), const(start)) for text in build.symbols.found]
        if start and not counted
        else []
    )
    hints = less if len(set(lengths)) > 1 else []
    length = build.resolver.settle(lengths, rows, ("times", attr), hints=hints)
    return (
        length,
        f"range({start}, {show(length)})" if counted and start else f"range({show(length)})",
    )


def _growing(
    entering: Expr | None, leaving: Expr | None, enters: Expr | None, rows: Rows
) -> Expr | None:
    """How channels grow in a loop from its start, in the words of what an iteration adds."""
    if (
        entering is None
        or leaving is None
        or enters is None
        or rows.start
        or rows.counter not in parameters(enters)
    ):
        return None
    before, after = summands(enters), summands(leaving)
    added = after[len(before) :]
    if after[: len(before)] != before or not added or not parameters(total(added)):
        return None
    return chain("+", [entering, chain("*", [name(rows.counter), total(added)])])
