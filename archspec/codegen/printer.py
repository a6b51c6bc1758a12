"""Print code as formatters leave it: on one line if it fits, else with one argument per line.

>>> code = Call("torch.cat", (("", List(("a", "b"))), ("dim", "1")))
>>> print(*statement("x = ", code, 4), sep="\\n")
    x = torch.cat([a, b], dim=1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from archspec.codegen.literals import WIDTH


class Named(Protocol):
    """Something whose name may be set later."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call. Each argument is its keyword, or an empty string, and its value."""

    func: str | Named
    args: tuple[tuple[str, Code], ...] = ()

    @property
    def name(self) -> str:
        return self.func if isinstance(self.func, str) else self.func.name


@dataclass(frozen=True, slots=True)
class List:
    """A list."""

    items: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class BinOp:
    """Operands joined by `+` or `*`."""

    operator: str
    operands: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class Starred:
    """A starred generator: `*(element for counter in iterable)`."""

    element: Code
    counter: str
    iterable: str


@dataclass(frozen=True, slots=True)
class CallResult:
    """A call whose result is called: `Dense(10)(x)`."""

    call: Call
    operand: Code


Code = str | Call | List | BinOp | Starred | CallResult


def one_line(code: Code) -> str:
    """Return the code on one line."""
    match code:
        case str():
            return code
        case Call(name=name, args=args):
            return f"{name}({', '.join(_keyword(key) + one_line(value) for key, value in args)})"
        case List(items):
            return f"[{', '.join(map(one_line, items))}]"
        case BinOp(operator, operands):
            return f" {operator} ".join(_operand(operator, operand) for operand in operands)
        case Starred(element, counter, iterable):
            return f"*({one_line(element)} for {counter} in {iterable})"
        case CallResult(call, operand):
            return f"{one_line(call)}({one_line(operand)})"


def _keyword(key: str) -> str:
    return f"{key}=" if key else ""


def _operand(operator: str, code: Code) -> str:
    text = one_line(code)
    is_sum = isinstance(code, BinOp) and code.operator == "+"
    return f"({text})" if operator == "*" and is_sum else text


def statement(start: str, code: Code, indent: int) -> list[str]:
    """Return the lines of a statement: `start` and the code after it."""
    pad = " " * indent
    if isinstance(code, BinOp) and indent + len(start) + len(one_line(code)) > WIDTH:
        return [f"{pad}{start}(", *_operand_lines("", code, "", indent + 4), f"{pad})"]
    return _lines(start, code, "", indent)


def _lines(start: str, code: Code, end: str, indent: int) -> list[str]:
    """Return code between `start` and `end` as lines."""
    pad = " " * indent
    line = f"{pad}{start}{one_line(code)}{end}"
    if len(line) <= WIDTH:
        return [line]
    match code:
        case Call(name=name, args=args) if args:
            inner = _argument_lines(args, indent + 4)
            return [f"{pad}{start}{name}(", *inner, f"{pad}){end}"]
        case List(items):
            inner = [text for item in items for text in _lines("", item, ",", indent + 4)]
            return [f"{pad}{start}[", *inner, f"{pad}]{end}"]
        case BinOp():
            return _operand_lines(start, code, end, indent)
        case Starred():
            return [f"{pad}{start}*(", *_generator_lines(code, indent + 4), f"{pad}){end}"]
        case CallResult(call, operand):
            opening = f"{pad}{start}{one_line(call)}("
            if len(opening) <= WIDTH:
                return [opening, *_lines("", operand, "", indent + 4), f"{pad}){end}"]
            return _lines(start, call, f"({one_line(operand)}){end}", indent)
        case _:
            return [line]


def _argument_lines(args: Sequence[tuple[str, Code]], indent: int) -> list[str]:
    # A single argument that is a bracket itself needs no comma after it.
    comma = "" if len(args) == 1 and isinstance(args[0][1], Call | List) else ","
    return [line for key, value in args for line in _lines(_keyword(key), value, comma, indent)]


def _generator_lines(code: Starred, indent: int) -> list[str]:
    pad = " " * indent
    loop = f"for {code.counter} in {code.iterable}"
    line = f"{pad}{one_line(code.element)} {loop}"
    if len(line) <= WIDTH:
        return [line]
    return [*_lines("", code.element, "", indent), f"{pad}{loop}"]


def _operand_lines(start: str, code: BinOp, end: str, indent: int) -> list[str]:
    """Return operands one per line, or all on the one line that brackets around them leave."""
    line = f"{' ' * indent}{start}{one_line(code)}{end}"
    if len(line) <= WIDTH:
        return [line]
    lines: list[str] = []
    last = len(code.operands) - 1
    for number, operand in enumerate(code.operands):
        mark = f"{code.operator} " if number else start
        lines += _lines(mark, operand, end if number == last else "", indent)
    return lines


def function_header(start: str, parameters: Sequence[str], end: str, indent: int) -> list[str]:
    """Return the lines of a function's signature, as in `start(parameters)end`."""
    pad = " " * indent
    line = f"{pad}{start}({', '.join(parameters)}){end}"
    if len(line) <= WIDTH:
        return [line]
    inner = [f"{pad}    {', '.join(parameters)}"]
    if len(inner[0]) > WIDTH:
        inner = [f"{pad}    {parameter}," for parameter in parameters]
    return [f"{pad}{start}(", *inner, f"{pad}){end}"]
