"""The call sites that a line of emitted source stands for, with the values of its names there."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archspec.codegen.expressions import name
from archspec.ir.expr import Expr


@dataclass(frozen=True, slots=True, eq=False)
class CallSites:
    """One environment per call site: the value of each name there.

    Outside loops there is a site per instance of the class. Within a loop there is a site per
    iteration: `outer_sites` gives the index of its site in `outer`, `first` is the number of the
    first iteration, `counter` the loop's counter. `counters` maps the spec's names of counters to
    those of the emitted loops.
    """

    environments: list[ChainMap[str, Any]]
    outer: CallSites | None = None
    outer_sites: Sequence[int] = ()
    first: int = 0
    counter: str = ""
    counters: Mapping[str, Expr] = field(default_factory=dict[str, Expr])

    def in_loop(
        self, counts: list[int], first: int, counter: str, spec_counters: Iterable[str]
    ) -> CallSites:
        """Return the sites within a loop of `counts` iterations at each of these sites."""
        pairs = [(site, i) for site, count in enumerate(counts) for i in range(count)]
        environments = [
            self.environments[site].new_child({counter: first + i}) for site, i in pairs
        ]
        counters = {**self.counters, **dict.fromkeys(spec_counters, name(counter))}
        outer_sites = [site for site, _ in pairs]
        return CallSites(environments, self, outer_sites, first, counter, counters)
