"""Blocks that contain themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from archspec.diagnostics import Note, Report, quote
from archspec.frontend.step import Block, Body, Step

MAX_NOTES = 8


@dataclass(slots=True)
class _Visit:
    """A block on the path, its steps that are still to be followed, and the step that led to it."""

    name: str
    steps: Iterator[Step]
    use: Step | None = None


def steps_inside(body: Body) -> Iterator[Step]:
    """Yield every step of a body, with those of its branches and repeats."""
    for step in body:
        yield step
        for _, inner in (step.branches or {}).values():
            yield from steps_inside(inner)
        yield from steps_inside(step.body or [])


def find_cycles(blocks: Mapping[str, Block], report: Report) -> bool:
    """Report each block that contains itself, with the circle; return True if there is one."""
    done: set[str] = set()
    results = [_search(start, blocks, done, report) for start in blocks]
    return any(results)


def _search(start: str, blocks: Mapping[str, Block], done: set[str], report: Report) -> bool:
    """Follow the uses of blocks from one of them, depth first; add each finished one to `done`."""
    if start in done:
        return False
    found_cycle = False
    # No recursion: a chain of blocks may be as long as the spec.
    path = [_Visit(start, steps_inside(blocks[start].body))]
    on_path = {start}
    while path:
        step = next((step for step in path[-1].steps if step.kind in blocks), None)
        if step is None:
            name = path.pop().name
            on_path.discard(name)
            done.add(name)
        elif step.kind in on_path:
            _report_cycle(step, path, report)
            found_cycle = True
        elif step.kind not in done:
            on_path.add(step.kind)
            path.append(_Visit(step.kind, steps_inside(blocks[step.kind].body), step))
    return found_cycle


def _report_cycle(step: Step, path: Sequence[_Visit], report: Report) -> None:
    names = [visit.name for visit in path]
    at = names.index(step.kind)
    circle = " -> ".join([*names[at:], step.kind])
    notes = [
        Note(f"{visit.use.kind} is used", visit.use.span)
        for visit in path[at + 1 : at + 1 + MAX_NOTES]
        if visit.use is not None
    ]
    message = f"the block {quote(step.kind)} contains itself: {quote(circle)}"
    report.error("AS0404", step.span, message, notes=notes)
