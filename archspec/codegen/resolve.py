"""Find an expression for every value in a class.

That is the spec's own expression where it holds in all instances, else a number if they agree,
else a parameter. An expression is only used after it was evaluated at every call site and gave the
right value at each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from archspec.codegen.call_sites import CallSites
from archspec.codegen.expressions import const, join_operands, name, to_python, tuple_of, value_of
from archspec.codegen.symbols import Symbols
from archspec.ir.expr import Const, Expr, names_in

# Characters of an expression before a parameter reads better; in the network, before a number does.
MAX_LENGTH = 72
MAX_LENGTH_IN_NETWORK = 32

MAX_SPEC_EXPRESSIONS = 3  # of different instances; more are tried in vain

Channels = list[Expr | None]
"""The channels of each value that a node takes or returns; None where no expression is known."""


class Resolver:
    """Resolve the values of a class, given as one list per value with an entry per call site.

    `names_read` are the names used so far. `hardcoded` are names that a value depends on but that
    its expression does not contain, so that they cannot be changed; `lost` are those of them that
    the spec's own expression contains.
    """

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.max_length = MAX_LENGTH_IN_NETWORK if symbols.is_network else MAX_LENGTH
        self.names_read: set[str] = set()
        self.hardcoded: set[str] = set()
        self.lost: set[str] = set()

    def settle(
        self,
        values: list[Any],
        sites: CallSites,
        new_param: tuple[str, str],
        *,
        hints: Sequence[Expr | None] = (),
        written: Iterable[Expr] = (),
        entering: Expr | None = None,
        default: Any = None,
    ) -> Expr:
        """Return the expression for these values, with a new parameter as the last resort.

        `hints` are preferred to the spec's own expressions, which are `written`; in these,
        `in.channels` is `entering`. `new_param` is the name for a new parameter and its layer.
        Raise ValueError if the values neither stay nor grow evenly within a loop.
        """
        expr = self.express(values, sites, hints, written, entering)
        # Within a loop, a parameter would need a value for each iteration.
        if expr is None and sites.outer is None:
            expr = self.symbols.new_param(*new_param, values, default)
        if expr is None:
            expr = self.in_loop(values, sites, hints, new_param)
        if expr is None:
            raise ValueError(f"{new_param[0]} changes unevenly within a loop")
        self.names_read |= names_in(expr)
        self.symbols.used |= names_in(expr) & self.symbols.candidates.keys()
        return expr

    def express(
        self,
        values: list[Any],
        sites: CallSites,
        hints: Sequence[Expr | None] = (),
        written: Iterable[Expr] = (),
        entering: Expr | None = None,
    ) -> Expr | None:
        """Return an expression that holds at every call site, or None."""
        candidates = list(dict.fromkeys(written))
        for hint in hints:
            if hint is not None and self._can_use(hint, values, sites):
                self.lose(candidates)
                return hint
        is_constant = all(same(value, values[0]) for value in values)
        for expr in candidates[:MAX_SPEC_EXPRESSIONS]:
            translated = self.symbols.translate(expr, entering, sites)
            # A counter in the expression of a value that stays the same only confuses the reader.
            if translated is None or (is_constant and sites.counter in names_in(translated)):
                continue
            if self._can_use(translated, values, sites):
                return translated
        self.lose(candidates)
        if is_constant:
            return const(values[0])
        return self._express_varying(values, sites, hints)

    def _express_varying(
        self, values: list[Any], sites: CallSites, hints: Sequence[Expr | None]
    ) -> Expr | None:
        """Return a parameter that happens to have these values, or a tuple of expressions."""
        # Arguments of the network are not tried: an equal value would be a coincidence.
        for text, param in self.symbols.candidates.items():
            if param.source[0] != "global" and self.fits(name(text), values, sites):
                return name(text)
        if all(isinstance(value, tuple) for value in values):
            return self._express_tuple(values, sites, hints)
        return None

    def lose(self, written: Iterable[Expr]) -> None:
        """Note that a value follows from expressions of the spec without containing their names."""
        for expr in written:
            self.lost |= self.symbols.read_by(expr)

    def _can_use(self, expr: Expr, values: list[Any], sites: CallSites) -> bool:
        """Return whether an expression that is not just a number holds; if not, it is hardcoded."""
        if not names_in(expr):
            return False
        if self.fits(expr, values, sites):
            return True
        self.hardcoded |= names_in(expr)
        return False

    def _express_tuple(
        self, values: list[tuple[Any, ...]], sites: CallSites, hints: Sequence[Expr | None]
    ) -> Expr | None:
        """Return an expression for tuples, axis by axis: `(out, 7, 7)`."""
        if len(set(map(len, values))) > 1:
            return None
        parts: list[Expr] = []
        complete = True
        for axis in zip(*values, strict=True):
            part = self.express(list(axis), sites, hints)
            if part is None:
                complete = False
            else:
                parts.append(part)
        return tuple_of(parts) if complete else None

    def fits(self, expr: Expr, values: list[Any], sites: CallSites) -> bool:
        """Return whether an expression is short enough and holds at every call site."""
        return len(to_python(expr)) <= self.max_length and self.holds(expr, values, sites)

    def holds(self, expr: Expr, values: list[Any], sites: CallSites) -> bool:
        """Return whether an expression gives the right value at every call site."""
        pairs = zip(sites.environments, values, strict=True)
        return all(same(value_of(expr, environment), value) for environment, value in pairs)

    def channels(
        self, candidates: Iterable[Expr | None], values: list[Any], sites: CallSites
    ) -> Expr | None:
        """Return the first candidate that holds everywhere, else the number if all values agree."""
        tried = [candidate for candidate in candidates if candidate is not None]
        for candidate in tried:
            if self.holds(candidate, values, sites):
                return candidate
        self.hardcoded |= frozenset[str]().union(*map(names_in, tried))
        return const(values[0]) if all(same(value, values[0]) for value in values) else None

    def in_loop(
        self,
        values: list[Any],
        sites: CallSites,
        hints: Sequence[Expr | None],
        new_param: tuple[str, str] | None = None,
    ) -> Expr | None:
        """Return an expression for a value that stays or grows evenly in a loop: `base + i * step`.

        Without `new_param`, no parameter is added for a base or step that has no expression.
        """
        outer = sites.outer
        if outer is None:
            return None
        first_values, steps = _lines(values, sites, len(outer.environments))
        if new_param:
            param_name, layer = new_param
            base = self.settle(first_values, outer, new_param, hints=hints)
            step = self.settle(steps, outer, (f"{param_name} step", layer))
        else:
            base = self.express(first_values, outer, hints)
            step = self.express(steps, outer)
        if base is None or step is None:
            return None
        if step == const(0):
            return base
        counter = name(sites.counter)
        growth = join_operands("*", [step, counter] if isinstance(step, Const) else [counter, step])
        return growth if base == const(0) else join_operands("+", [base, growth])


def _lines(values: list[Any], sites: CallSites, outer_count: int) -> tuple[list[Any], list[int]]:
    """Return the value at counter 0 and the step per iteration, for each of the outer sites."""
    series: list[list[Any]] = [[] for _ in range(outer_count)]
    for site, value in zip(sites.outer_sites, values, strict=True):
        series[site].append(value)
    steps = [
        row[1] - row[0] if len(row) > 1 and type(row[0]) is type(row[1]) is int else 0
        for row in series
    ]
    # A loop of one iteration has no step of its own: it takes part in whatever the others do.
    largest = max(steps)
    steps = [step if len(row) > 1 else largest for row, step in zip(series, steps, strict=True)]
    first_values = [
        row[0] - sites.first * step if step else row[0]
        for row, step in zip(series, steps, strict=True)
    ]
    return first_values, steps


def same(a: Any, b: Any) -> bool:
    """Return whether values are equal and of one kind: 1 may stand for 1.0, but not for True."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)
