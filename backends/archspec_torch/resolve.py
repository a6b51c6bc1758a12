"""The words for every value in a class: what the spec says where it is true of all instances, else a number, else a parameter.

Nothing is written that has not been evaluated in every instance and found equal there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archspec.expr import Const, Expr
from archspec_torch.expressions import apply, const, name, parameters, product, show, total, value_of
from archspec_torch.symbols import Rows, Symbols

_LONGEST = 72  # characters of an expression before a parameter reads better


class Resolver:
    """Settles values, one line of source at a time; a value comes as one for each row."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols

    def settle(
        self,
        values: list[Any],
        rows: Rows,
        *,
        hints: Iterable[Expr | None] = (),
        written: Iterable[Expr] = (),
        entering: Expr | None = None,
        wanted: str,
        default: Any = None,
    ) -> Expr:
        """The expression for these values.

        `hints` are words that come before the spec's own, as the channels that enter; `written` is what the spec says;
        a parameter called `wanted` is the last resort.
        """
        found = self.words(values, rows, hints, written, entering)
        if found is None:
            found = self._progress(values, rows, wanted, hints)
        if found is None and rows is not self.symbols.rows:
            raise AssertionError(f"{wanted} varies within a loop")
        if found is None:
            found = self.symbols.new(wanted, values, default)
        self.symbols.used |= parameters(found) & self.symbols.found.keys()
        return found

    def words(
        self, values: list[Any], rows: Rows, hints: Iterable[Expr | None], written: Iterable[Expr], entering: Expr | None
    ) -> Expr | None:
        """An expression that is true everywhere, or None."""
        for hint in hints:
            if hint is not None and parameters(hint) and self.fits(hint, values, rows):
                return hint
        for expr in list(dict.fromkeys(written))[:3]:
            translated = self.symbols.translate(expr, entering, rows)
            if translated is not None and parameters(translated) and self.fits(translated, values, rows):
                return translated
        if all(same(value, values[0]) for value in values):
            return const(values[0])
        for text, param in self.symbols.found.items():
            if param.source[0] != "global" and self.fits(name(text), values, rows):
                return name(text)
        if isinstance(values[0], tuple) and all(isinstance(v, tuple) and len(v) == len(values[0]) for v in values):
            return self._tuple(values, rows, list(hints))
        return None

    def fits(self, expr: Expr, values: list[Any], rows: Rows) -> bool:
        """Whether it gives each row its value."""
        if len(show(expr)) > _LONGEST:
            return False
        return all(same(value_of(expr, env), value) for env, value in zip(rows.envs, values, strict=True))

    def known(self, candidates: Iterable[Expr | None], values: list[Any], rows: Rows) -> Expr | None:
        """The first candidate that is true everywhere, else the number, if it is the same everywhere."""
        for candidate in candidates:
            if candidate is not None and self.fits(candidate, values, rows):
                return candidate
        return const(values[0]) if all(same(value, values[0]) for value in values) else None

    def _tuple(self, values: list[Any], rows: Rows, hints: list[Expr | None]) -> Expr | None:
        parts = [self.words([v[axis] for v in values], rows, hints, (), None) for axis in range(len(values[0]))]
        known = [part for part in parts if part is not None]
        return apply("tuple", *known) if len(known) == len(parts) else None

    def _progress(self, values: list[Any], rows: Rows, wanted: str, hints: Iterable[Expr | None]) -> Expr | None:
        """Words for a value that stays or grows evenly within a loop: `in_channels + i * growth`."""
        around = self.symbols.rows if rows.around is None else rows.around
        if rows.around is None:
            return None
        inner = [[v for v, owner in zip(values, rows.owner, strict=True) if owner == row] for row in range(len(around.envs))]
        steps = [row[1] - row[0] if len(row) > 1 and type(row[0]) is int else 0 for row in inner]
        step = self.settle(steps, around, wanted=f"{wanted}_step")
        first = [row[0] - rows.start * by if by else row[0] for row, by in zip(inner, steps, strict=True)]
        base = self.settle(first, around, hints=hints, wanted=wanted)
        grown = total([base, product([name(rows.counter), step])]) if step != const(0) else base
        return grown if self.fits(grown, values, rows) else None


def same(a: Any, b: Any) -> bool:
    """Equal, and of one kind: 1 is not True, though it may stand for 1.0."""
    return a == b and isinstance(a, bool) == isinstance(b, bool) and isinstance(a, tuple) == isinstance(b, tuple)


def is_number(expr: Expr, value: Any) -> bool:
    """Whether an expression is just this value."""
    return isinstance(expr, Const) and same(expr.value, value)
