"""The words for every value in a class: the spec's own where they are true of all instances, a number, or a parameter.

Nothing is written that has not been evaluated in every instance and found equal there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from archspec.codegen.expressions import (
    const,
    join_operands,
    name,
    parameters,
    to_python,
    tuple_of,
    value_of,
)
from archspec.codegen.symbols import CallSites, Symbols
from archspec.ir.expr import Const, Expr

# Characters of an expression before a parameter reads better; in the network itself, before a number does.
_LONGEST, _LONGEST_IN_NETWORK = 72, 32


class Resolver:
    """Settles the values of a class, a list with one for each row at a time.

    `read` are the words used so far; `lost` are those that a value depends on and its words do not say.
    """

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.longest = _LONGEST_IN_NETWORK if symbols.is_network else _LONGEST
        self.names_read: set[str] = set()
        self.hardcoded: set[str] = set()

    def settle(
        self,
        values: list[Any],
        rows: CallSites,
        wanted: tuple[str, str],
        *,
        hints: Sequence[Expr | None] = (),
        written: Iterable[Expr] = (),
        entering: Expr | None = None,
        default: Any = None,
    ) -> Expr:
        """The expression for these values.

        `hints` are words that come before the spec's own, as the channels that enter; `written` is what the spec says,
        where `in` has the channels `entering`. A new parameter is the last resort: `wanted` are its name and layer.
        """
        found = self.express(values, rows, hints, written, entering)
        if found is None and rows.outer is None:
            found = self.symbols.new(*wanted, values, default)
        if found is None:
            found = self.in_loop(values, rows, hints, wanted)
        if found is None:
            raise ValueError(f"{wanted[0]} changes unevenly within a loop")
        self.names_read |= parameters(found)
        self.symbols.used |= parameters(found) & self.symbols.candidates.keys()
        return found

    def express(
        self,
        values: list[Any],
        rows: CallSites,
        hints: Sequence[Expr | None] = (),
        written: Iterable[Expr] = (),
        entering: Expr | None = None,
    ) -> Expr | None:
        """An expression that is true in every row, or None."""
        for hint in hints:
            if hint is not None and self._says(hint, values, rows):
                return hint
        alike = all(same(value, values[0]) for value in values)
        for expr in list(dict.fromkeys(written))[:3]:
            said = self.symbols.translate(expr, entering, rows)
            # Where every iteration has the same value, how it follows from the counter is beside the point.
            if said is None or (alike and rows.counter in parameters(said)):
                continue
            if self._says(said, values, rows):
                return said
        if alike:
            return const(values[0])
        for text, param in self.symbols.candidates.items():
            if param.source[0] != "global" and self.fits(name(text), values, rows):
                return name(text)
        return (
            self._tuple(values, rows, hints)
            if all(isinstance(value, tuple) for value in values)
            else None
        )

    def _says(self, expr: Expr, values: list[Any], rows: CallSites) -> bool:
        """Whether these words, and not just a number, stand for the values; where they fail, they are `lost`."""
        if not parameters(expr):
            return False
        if self.fits(expr, values, rows):
            return True
        self.hardcoded |= parameters(expr)
        return False

    def _tuple(
        self, values: list[tuple[Any, ...]], rows: CallSites, hints: Sequence[Expr | None]
    ) -> Expr | None:
        """Words for tuples, axis by axis: `(out, 7, 7)`."""
        if len(set(map(len, values))) > 1:
            return None
        parts = [self.express(list(axis), rows, hints) for axis in zip(*values, strict=True)]
        known = [part for part in parts if part is not None]
        return tuple_of(known) if len(known) == len(parts) else None

    def fits(self, expr: Expr, values: list[Any], rows: CallSites) -> bool:
        """Whether it gives each row its value."""
        return len(to_python(expr)) <= self.longest and self.holds(expr, values, rows)

    def holds(self, expr: Expr, values: list[Any], rows: CallSites) -> bool:
        """Whether it gives each row its value, however long it is."""
        return all(
            same(value_of(expr, env), value)
            for env, value in zip(rows.environments, values, strict=True)
        )

    def first_true(
        self, candidates: Iterable[Expr | None], values: list[Any], rows: CallSites
    ) -> Expr | None:
        """The first candidate that is true in every row, else the number, if it is the same in all."""
        for candidate in candidates:
            if candidate is not None:
                if self.holds(candidate, values, rows):
                    return candidate
                self.hardcoded |= parameters(candidate)
        return const(values[0]) if all(same(value, values[0]) for value in values) else None

    def in_loop(
        self,
        values: list[Any],
        rows: CallSites,
        hints: Sequence[Expr | None],
        wanted: tuple[str, str] | None = None,
    ) -> Expr | None:
        """Words for a value that stays or grows evenly within a loop, as in `in_channels + i * growth`.

        Without `wanted` no parameter is made for what has no words.
        """
        around = rows.outer
        if around is None:
            return None
        found: dict[int, list[Any]] = {}
        for row, value in zip(rows.outer_sites, values, strict=True):
            found.setdefault(row, []).append(value)
        inner = [found[row] for row in range(len(around.environments))]
        grows = [
            row[1] - row[0] if len(row) > 1 and type(row[0]) is type(row[1]) is int else 0
            for row in inner
        ]
        # A loop of one iteration has no step: it takes part in whatever the others do.
        steps = [
            step if len(row) > 1 else max(grows) for row, step in zip(inner, grows, strict=True)
        ]
        firsts = [
            row[0] - rows.first * step if step else row[0]
            for row, step in zip(inner, steps, strict=True)
        ]
        if wanted:
            base = self.settle(firsts, around, wanted, hints=hints)
            step = self.settle(steps, around, (f"{wanted[0]} step", wanted[1]))
        else:
            base, step = self.express(firsts, around, hints), self.express(steps, around)
        if base is None or step is None:
            return None
        if step == const(0):
            return base
        counter = name(rows.counter)
        grown = join_operands("*", [step, counter] if isinstance(step, Const) else [counter, step])
        return grown if base == const(0) else join_operands("+", [base, grown])


def same(a: Any, b: Any) -> bool:
    """Equal, and of one kind: 1 may stand for 1.0, and for True it may not."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)
