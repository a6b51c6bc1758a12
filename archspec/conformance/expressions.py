"""Expressions that have a given value: their text, and their value if names have other values.

>>> from hypothesis import find
>>> find(integers(6, {"n": 3}), lambda spelled: "*" in spelled.text).text
'${n * 2}'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Env = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SpelledValue:
    """A value as YAML data, and a function from the values of names to what it means.

    The function is computed here, and not by the code under test.
    """

    text: Any
    of: Callable[[Env], Any]

    @classmethod
    def plain(cls, value: Any) -> SpelledValue:
        return cls(value, lambda env: value)

    @classmethod
    def name(cls, name: str, bare: bool = False) -> SpelledValue:
        """Return `$name` or `${name}`."""
        return cls(f"${name}" if bare else f"${{{name}}}", lambda env: env[name])


@st.composite
def integers(draw: st.DrawFn, value: int, env: Env) -> SpelledValue:
    """Draw an expression for a whole number that reads one of the names."""
    numbers = {name: n for name, n in env.items() if type(n) is int}
    if not numbers:
        return SpelledValue.plain(value)
    name = draw(st.sampled_from(sorted(numbers)))
    n = numbers[name]
    ways: list[tuple[str, Callable[[Env], Any]]] = [
        (
            f"{name} + {value - n}" if value >= n else f"{name} - {n - value}",
            lambda e: e[name] + value - n,
        ),
        (f"({name} + {2 * value - n + 1}) // 2", lambda e: (e[name] + 2 * value - n + 1) // 2),
        (f"round({name} + {value - n} + 0.25)", lambda e: e[name] + value - n),
        (f"ceil({name} + {value - n} - 0.5)", lambda e: e[name] + value - n),
        (f"floor({name} + {value - n} + 0.5)", lambda e: e[name] + value - n),
        (
            f"{value} if {name} == {n} else {value} + 1",
            lambda e: value if e[name] == n else value + 1,
        ),
        (f"-{name} + {value + n}", lambda e: value + n - e[name]),
    ]
    if n > 0 and value % n == 0:
        ways.append((f"{name} * {value // n}", lambda e: e[name] * (value // n)))
    if value <= n:
        ways.append((f"min({name}, {value})", lambda e: min(e[name], value)))
    if value >= n:
        ways.append((f"max({value}, {name})", lambda e: max(e[name], value)))
    if n > value >= 0:
        ways.append((f"{n + value} % {name}", lambda e: (n + value) % e[name]))
    if n == value:
        ways.extend([(name, SpelledValue.name(name).of)] * 4)
    text, of = draw(st.sampled_from(ways))
    return SpelledValue(f"${{{text}}}", of)


@st.composite
def booleans(draw: st.DrawFn, value: bool, env: Env) -> SpelledValue:
    """Draw an expression for a flag that reads one of the names."""
    ways: list[tuple[str, Callable[[Env], bool]]] = []
    for name, known in sorted(env.items()):
        if type(known) is bool:
            ways.append(
                (name, lambda e, name=name: e[name])
                if known is value
                else (f"not {name}", lambda e, name=name: not e[name])
            )
        elif type(known) is int:
            equal, least = ("==", "<= {} and true") if value else ("!=", "> {} or false")
            ways.append(
                (f"{name} {equal} {known}", lambda e, name=name, n=known: (e[name] == n) is value)
            )
            ways.append(
                (
                    f"{name} {least.format(known)}",
                    lambda e, name=name, n=known: (e[name] <= n) is value,
                )
            )
        elif (
            isinstance(known, str) and known.isidentifier()
        ):  # a rule by name: 3x3 may stand for a size
            word = "==" if value else "!="
            ways.append(
                (f"{name} {word} '{known}'", lambda e, name=name, n=known: (e[name] == n) is value)
            )
    if not ways:
        return SpelledValue.plain(value)
    text, of = draw(st.sampled_from(ways))
    return SpelledValue(f"${{{text}}}", of)
