"""Fields, methods and docstrings of a class, read from its source.

>>> from archspec.backend import Gap
>>> for member in members(Gap):
...     print(member.signature)
code: str
reason: str
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """A public field, property or method: its name, its declaration on one line, its docstring."""

    name: str
    signature: str
    doc: str
    is_method: bool


def members(cls: type) -> list[Member]:
    """Return the public members that a class itself declares, in the order of its source."""
    body = _class_definition(cls).body
    following = [*body[1:], None]
    declared = (_member(node, after) for node, after in zip(body, following, strict=True))
    return [member for member in declared if member and not member.name.startswith("_")]


def prose(doc: str | None) -> str:
    """Return a docstring without its examples."""
    return inspect.cleandoc(doc or "").partition(">>>")[0].strip()


def signature(function: object) -> str:
    """Return `name(arguments) -> result` of a method, without `self`."""
    source = textwrap.dedent(inspect.getsource(function))  # pyright: ignore[reportArgumentType]
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    return _signature(node)


def _class_definition(cls: type) -> ast.ClassDef:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(node, ast.ClassDef)
    return node


def _member(node: ast.stmt, following: ast.stmt | None) -> Member | None:
    match node:
        case ast.AnnAssign(target=ast.Name(name), annotation=annotation, value=value):
            declared = f"{name}: {ast.unparse(annotation)}{_default(value)}"
            return Member(name, declared, _attribute_doc(following), is_method=False)
        case ast.FunctionDef(name) if _is_property(node):
            result = f": {ast.unparse(node.returns)}" if node.returns else ""
            return Member(name, name + result, prose(ast.get_docstring(node)), is_method=False)
        case ast.FunctionDef(name):
            doc = prose(ast.get_docstring(node))
            return Member(name, _signature(node), doc, is_method=True)
        case _:
            return None


def _is_property(node: ast.FunctionDef) -> bool:
    return any(
        isinstance(decorator, ast.Name) and decorator.id in ("property", "cached_property")
        for decorator in node.decorator_list
    )


def _signature(node: ast.FunctionDef) -> str:
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({arguments}){result}"


def _attribute_doc(following: ast.stmt | None) -> str:
    """Return the text below a field; by convention it is the field's docstring."""
    match following:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return prose(text)
        case _:
            return ""


def _default(value: ast.expr | None) -> str:
    match value:
        case None:
            return ""
        case ast.Call(func=ast.Name("field"), keywords=[ast.keyword("default_factory", factory)]):
            name = ast.unparse(factory)
            return " = {}" if name.startswith("dict") else f" = {name}()"
        case _:
            return f" = {ast.unparse(value)}"
