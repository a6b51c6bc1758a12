"""Blocks that contain themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archspec.diagnostics import Note, Report, quote
from archspec.frontend.step import Block, Body, Step


def uses(body: Body) -> Iterator[Step]:
    """Every step of a body, those of its branches and repeats included."""
    for step in body:
        yield step
        for _, inner in (step.branches or {}).values():
            yield from uses(inner)
        yield from uses(step.body or [])


def find_cycles(blocks: Mapping[str, Block], report: Report) -> bool:
    """Reports each block that contains itself, showing the circle; True if there is one."""
    done: set[str] = set()
    found = False
    for start in blocks:
        # Depth first without recursion: a chain of blocks may be as long as the spec.
        path: list[tuple[str, Iterator[Step], Step | None]] = []
        if start not in done:
            path.append((start, uses(blocks[start].body), None))
        on_path = {start}
        while path:
            name, steps, _ = path[-1]
            step = next((s for s in steps if s.what in blocks), None)
            if step is None:
                path.pop()
                on_path.discard(name)
                done.add(name)
            elif step.what in on_path:
                names = [n for n, _, _ in path]
                at = names.index(step.what)
                circle = " -> ".join([*names[at:], step.what])
                notes = [
                    Note(f"{s.what} is used", s.span)
                    for _, _, s in path[at + 1 : at + 9]
                    if s is not None
                ]
                report.error(
                    "AS0404",
                    step.span,
                    f"the block {quote(step.what)} contains itself: {quote(circle)}",
                    notes=notes,
                )
                found = True
            elif step.what not in done:
                on_path.add(step.what)
                path.append((step.what, uses(blocks[step.what].body), step))
    return found
