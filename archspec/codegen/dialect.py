"""The parts of emitted source that are one framework's own, as a value for the shared code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archspec.codegen.lowering import Lowered
from archspec.codegen.names import identifier
from archspec.codegen.printer import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Rules for how a framework's layers are constructed and put together.

    `lower` returns an op's constructor call for the shapes that enter it. `reserved` are names that
    no identifier may have. `class_name` turns a block's name into that of its class or function;
    `number_prefix` goes before the number of another one of the same name.

    `sequential` returns the code for layers one after the other, given (key, code) pairs;
    `numbered` that for the iterations of a repeat; `module_list` that for iterations which the
    surrounding code calls one by one.

    With `portable_paths`, layers bear their portable paths as names. The names within a scope are
    then part of its structure, and every loop needs its counter.
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
        """Return a Python name that hides nothing; `digit` goes before a leading digit."""
        return identifier(text, self.reserved, digit)
