"""Lift a spec expression from the scope it is written in to the scope of an emitted class."""

from __future__ import annotations

from collections.abc import Collection
from itertools import takewhile

from archspec.codegen.expressions import const, rewrite
from archspec.codegen.lowering import compact
from archspec.ir.expr import Attribute, Const, Expr, Name
from archspec.ir.graph import Scope

# Marks in lifted expressions that no argument's name can contain.
GLOBAL = "$"  # before an argument of the network
COUNTER = "{"  # before the counter of a repeat


def lift(expr: Expr, scope: Scope, class_scopes: Collection[Scope]) -> Expr:
    """Return an expression written in `scope` in terms of the class scope that encloses it.

    An argument of a scope in between becomes the expression that the spec passes for it.
    """
    while scope not in class_scopes and scope.parent is not None:
        expr = rewrite(expr, lambda leaf, scope=scope: _lift_leaf(leaf, scope)) or expr
        scope = scope.parent
    return expr


def _lift_leaf(leaf: Expr, scope: Scope) -> Expr:
    match leaf:
        case Name(key, at) if key in scope.args:
            if scope.kind == "repeat":
                return Attribute(Const(scope.args[key], at), COUNTER + key, at)
            return passed(scope, key) or Const(scope.args[key], at)
        case Name(key, at) if scope.kind in ("block", "head") and _is_global(key):
            return Name(GLOBAL + key, at)
        case Attribute(Name(key, _), attribute, at) if key in scope.args:
            return _attribute(scope, key, attribute, at)
        case _:
            return leaf


def passed(scope: Scope, key: str) -> Expr | None:
    """Return the expression of a block's argument in terms of the scope around the block.

    That is the default's if the spec passes none. None stands for a constant.
    """
    if key in scope.exprs or key not in scope.defaults:
        return scope.exprs.get(key)
    # A default sees the arguments before it; any other name in it is the network's.
    earlier = frozenset(takewhile(lambda other: other != key, scope.args))
    return rewrite(scope.defaults[key], lambda leaf: _default_leaf(leaf, scope, earlier))


def _default_leaf(leaf: Expr, scope: Scope, earlier: Collection[str]) -> Expr:
    match leaf:
        case Name(key, at) if key not in earlier:
            return Name(GLOBAL + key, at)
        case Name(key, at):
            return passed(scope, key) or Const(scope.args[key], at)
        case Attribute(Name(key, _), attribute, at) if key in earlier:
            return _attribute(scope, key, attribute, at)
        case _:
            return leaf


def _attribute(scope: Scope, key: str, attribute: str, at: tuple[int, int]) -> Expr:
    """Return an attribute such as `patch.kernel`: of what is passed, else a number."""
    argument = passed(scope, key)
    if argument:
        return Attribute(argument, attribute, at)
    return const(compact(getattr(scope.args[key], attribute, None)))


def _is_global(key: str) -> bool:
    """Return whether a name that is not an argument of its block is one of the network."""
    return key != "in" and not key.startswith(GLOBAL)
