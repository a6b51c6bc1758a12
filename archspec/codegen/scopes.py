"""The scopes around a piece of emitted source: which block's arguments it may speak of."""

from __future__ import annotations

from archspec.ir.graph import Scope


def scopes_to_block(scope: Scope) -> list[Scope]:
    """Return the scope and those around it, up to the block whose arguments it can use."""
    scopes: list[Scope] = []
    for enclosing in scope.chain():
        scopes.append(enclosing)
        if enclosing.kind in ("network", "block", "head"):
            break
    return scopes


def role(scope: Scope) -> str:
    """Return the name that a scope has in every instance: an iteration has its repeat's."""
    parent = scope.parent
    if scope.kind == "repeat" and parent is not None and parent.kind == "repeat":
        return parent.name
    return scope.name


def is_whole_repeat(scope: Scope) -> bool:
    """Return whether a scope is a whole repeat; its iterations are scopes of the same kind."""
    if scope.kind != "repeat":
        return False
    return scope.parent is None or not is_whole_repeat(scope.parent)
