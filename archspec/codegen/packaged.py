"""Source text that a backend's package carries for the emitted file: templates and helpers.

Helpers are functions, classes and constants in ordinary modules, which linters and type checkers
see. Those that a network uses are copied into its file, with the helpers that they use in turn:

>>> sources = {
...     "Array": "Array = list",
...     "column": "def column(x: Array) -> Array:\\n    return x",
...     "norm": "def norm(x: Array) -> Array:\\n    return column(x)",
...     "relu": "def relu(x: Array) -> Array:\\n    return x",
... }
>>> needed_helpers(sources, ["norm"])
['Array', 'column', 'norm']
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.resources import files

from archspec.codegen.parsing import parse


def template_blocks(package: str, name: str) -> list[str]:
    """Return the top-level pieces of a package's file, as two blank lines separate them.

    Comments for the package's own type checker are left out.
    """
    return _text(package, name).strip().split("\n\n\n")


def helper_sources(
    package: str, rank: str = "", names: Sequence[str] = ("helpers.py",)
) -> dict[str, str]:
    """Return the source of each helper in a package's files, by name and in their order.

    A helper is a function, a class, or a constant that a top-level assignment defines. If `rank`
    is given, such as "2d", each helper with that in its name is there in one, two and three
    dimensions.
    """
    sources: dict[str, str] = {}
    for file_name in names:
        for name, source in _definitions(_text(package, file_name)):
            if rank and rank in name:
                for number in "123":
                    other_rank = number + rank[1:]
                    other_name = name.replace(rank, other_rank)
                    sources[other_name] = source.replace(rank, other_rank)
            else:
                sources[name] = source
    return sources


def needed_helpers(sources: Mapping[str, str], used: Collection[str]) -> list[str]:
    """Return the names of the used helpers and, transitively, of the helpers that these use.

    A helper comes after those that it uses, and otherwise in order of name. Raise KeyError if a
    name in `used` is not a helper.
    """
    needed: list[str] = []
    visited: set[str] = set()

    def visit(name: str) -> None:
        # Helpers may call each other in a circle: the first of them that is met comes last.
        if name in visited:
            return
        visited.add(name)
        for dependency in sorted(referenced_names(sources[name]) & sources.keys()):
            visit(dependency)
        needed.append(name)

    for name in sorted(used):
        visit(name)
    return needed


def referenced_names(source: str) -> set[str]:
    """Return the module-level names that a piece of source refers to, in annotations too.

    Local variables, attributes, and words in strings and comments do not count.

    >>> sorted(referenced_names("def f(x: Array, pads=None):\\n    return np.pad(x, pads)"))
    ['Array', 'np']
    """
    # The symbol table tells local names from global ones, which a search for words cannot.
    module = symtable.symtable(source, "<helper>", "exec")
    return set(_global_references(module))


def join_blocks(blocks: Sequence[str]) -> str:
    """Return blocks as a file has them: two blank lines apart, but constants on adjacent lines.

    >>> join_blocks(["A = 1", "B = 2", "def f():\\n    return A"])
    'A = 1\\nB = 2\\n\\n\\ndef f():\\n    return A'
    """
    text = ""
    was_constant = False
    for block in blocks:
        is_constant = not re.search(r"^(@|class |def |async def )", block, re.MULTILINE)
        if text:
            text += "\n" if is_constant and was_constant else "\n\n\n"
        text += block
        was_constant = is_constant
    return text


def _text(package: str, name: str) -> str:
    text = files(package).joinpath(name).read_text("utf-8")
    return re.sub(r"  # pyright: ignore.*", "", text)


def _definitions(text: str) -> Iterator[tuple[str, str]]:
    """Iterate over the top-level definitions of a module: their names and their source."""
    lines = text.splitlines()
    previous_end = 0
    for node in parse(text).body:
        end = node.end_lineno or node.lineno
        name = _defined_name(node)
        if name:
            start = min(
                (d.lineno for d in getattr(node, "decorator_list", ())), default=node.lineno
            )
            # A comment right above a definition belongs to it.
            while start - 1 > previous_end and lines[start - 2].startswith("#"):
                start -= 1
            yield name, "\n".join(lines[start - 1 : end])
        previous_end = end


def _defined_name(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case _:
            return ""


def _global_references(table: symtable.SymbolTable) -> Iterator[str]:
    is_module = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (is_module or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _global_references(child)
