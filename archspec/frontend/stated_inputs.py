"""Outputs for another input: a file's `output`s are for the `input` that the file states.

Where `--set` or a variant changes the input, those outputs say nothing of the network. They are
counted here instead of compared, unless the caller asks for the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archspec.diagnostics import Report, Source, Span, quote
from archspec.frontend.step import Argument
from archspec.ir.types import Shape, format_shape

MAX_NAMES = 5


@dataclass
class StatedInputs:
    """The files that state another input than the network has, with that input's shape.

    `sizes` are the arguments that the input is computed from: an output that reads one of them
    follows the input, and is compared. `unchecked` are the outputs that were not, by file.
    """

    others: Mapping[Source, Shape] = field(default_factory=dict[Source, Shape])
    sizes: frozenset[str] = frozenset()
    check_outputs: bool = False
    ignored: bool = False
    """True for a trial at another input, for which no output is stated."""
    unchecked: dict[Source, dict[str, Span]] = field(default_factory=dict[Source, dict[str, Span]])

    def other_input(self, output: Argument) -> Shape | None:
        """Return the input that an output is stated for, if the network has another."""
        if output.names_read() & self.sizes:
            return None
        return self.others.get(output.tree.source)

    def skip(self, output: Argument, path: str) -> None:
        """Record that the output of the step at `path` is not compared."""
        self.unchecked.setdefault(output.tree.source, {})[path] = output.span

    def report_unchecked(self, shape: Shape | None, report: Report) -> None:
        """AS0671: say which outputs were not compared with those of this input, and why."""
        if shape is None:
            return
        for source, paths in self.unchecked.items():
            names = ", ".join(map(quote, [*paths][:MAX_NAMES]))
            more = f" and {len(paths) - MAX_NAMES} more" if len(paths) > MAX_NAMES else ""
            stated = format_shape(self.others[source])
            message = (
                f"the outputs of {names}{more} in {quote(source.name)} are for an input of "
                f"{stated}, and are not checked at {format_shape(shape)}"
            )
            first = next(iter(paths.values()))
            report.note("AS0671", first, message, help="`--check-outputs` checks them")
