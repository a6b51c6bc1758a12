"""The location of a call in emitted functions, and the code of its path.

A function gets the path of the scope that it is called for as `name`, so that the calls in it can
say their whole path:

>>> network = Scope("", "network", span=None)
>>> stem = Scope("stem", "block", None, network)
>>> conv = Scope("conv", "block", None, stem)
>>> CallLocation(conv, network).path_code()
'"stem.conv"'
>>> CallLocation(conv, stem).path_code("/", {"conv": "conv_2"})
'f"{name}/conv_2"'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archspec.ir.graph import Node, Scope


@dataclass(frozen=True, slots=True)
class CallLocation:
    """A call of `item` in the function of `function_scope`.

    `counters` has the code of the loops' counters, such as `{i + 1}`, by their place in the path.
    """

    item: Node | Scope
    function_scope: Scope
    counters: Mapping[int, str] = field(default_factory=dict[int, str])

    def path_code(self, separator: str = ".", spelling: Mapping[str, str] | None = None) -> str:
        """Return the code of the item's path: a string, or an f-string of `name` and counters.

        `spelling` has other spellings for parts of the path. Whatever a part holds, the code is
        text and nothing else.
        """
        spelling = spelling or {}
        parts = [
            self.counters.get(place, _escaped(spelling.get(part, part)))
            for place, part in enumerate(path_parts(self.item))
        ]
        depth = len(path_parts(self.function_scope))
        if depth:
            parts = ["{name}", *parts[depth:]]
        text = separator.join(parts)
        if depth or self.counters:
            return f'f"{text}"'
        return f'"{text}"'.replace("{{", "{").replace("}}", "}")


def path_parts(item: Scope | Node) -> list[str]:
    """Return the parts of a path, outermost first."""
    if isinstance(item, Node):
        return [*path_parts(item.scope), item.name]
    return [scope.name for scope in item.chain() if scope.parent is not None][::-1]


def _escaped(text: str) -> str:
    r"""Return a text as it stands in an f-string in double quotes.

    >>> print(_escaped('a"{b}\n'))
    a\"{{b}}\n
    """
    escapes = {"\\": "\\\\", '"': '\\"', "{": "{{", "}": "}}"}
    return "".join(
        escapes.get(c) or (c if c.isprintable() else c.encode("unicode_escape").decode())
        for c in text
    )
