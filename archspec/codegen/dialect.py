"""What the source of one framework has of its own, as a value that the shared machinery is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archspec.codegen.lowering import Lowered
from archspec.codegen.names import identifier
from archspec.codegen.printer import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a framework's layers are called and put together.

    `lower` gives an op's constructor call for the shapes that enter. `reserved` are names that identifiers may not
    have; `title` makes a block's name that of its class or function, and `join` stands before the number of another of
    the same name. `sequence` is the code for layers one after the other, by their keys, `numbered` for iterations,
    `several` for iterations that the code around them calls one by one. With `paths`, layers bear their neutral paths:
    the names within a scope are part of its structure, and every loop counts.
    """

    lower: Callable[..., Lowered]
    reserved: frozenset[str]
    class_name: Callable[[str], str]
    number_prefix: str
    sequential: Callable[[tuple[tuple[str, Code], ...]], Code]
    numbered: Callable[[tuple[Code, ...]], Code]
    module_list: Callable[[tuple[Code, ...]], Code]
    portable_paths: bool = False

    def identifier(self, text: str, digit: str = "b") -> str:
        """A Python name that hides nothing; `digit` goes before one that would begin with a digit."""
        return identifier(text, self.reserved, digit)
