"""Lift a spec expression from the scope it is written in to the scope of an emitted class."""

from __future__ import annotations

from collections.abc import Collection

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
            return scope.exprs.get(key) or Const(scope.args[key], at)
        case Name(key, at) if scope.kind in ("block", "head") and _is_global(key):
            return Name(GLOBAL + key, at)
        case Attribute(Name(key, _), attribute, at) if key in scope.args:
            # As in `patch.kernel`: of what the spec passes, or a number where that is a default.
            argument = scope.exprs.get(key)
            if argument:
                return Attribute(argument, attribute, at)
            return const(compact(getattr(scope.args[key], attribute, None)))
        case _:
            return leaf


def _is_global(key: str) -> bool:
    """Return whether a name that is not an argument of its block is one of the network."""
    return key != "in" and not key.startswith(GLOBAL)
