"""Source as formatters leave it: one line where it fits, else an argument a line, with a comma after the last.

>>> print(*statement("x = ", Call("torch.cat", (("", List(("a", "b"))), ("dim", "1"))), 4), sep="\\n")
    x = torch.cat([a, b], dim=1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from archspec.codegen.literals import WIDTH


class Named(Protocol):
    """Something whose name may be settled later."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call; an argument is its keyword, or an empty text, and its value."""

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
    """`*(element for counter in numbers)`."""

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
    """The code on one line."""
    match code:
        case str():
            return code
        case Call(name=name, args=args):
            return f"{name}({', '.join(_keyword(key) + one_line(value) for key, value in args)})"
        case List(items):
            return f"[{', '.join(map(one_line, items))}]"
        case BinOp(operator, operands):
            return f" {operator} ".join(_operand(operator, operand) for operand in operands)
        case Starred(element, counter, numbers):
            return f"*({one_line(element)} for {counter} in {numbers})"
        case CallResult(call, operand):
            return f"{one_line(call)}({one_line(operand)})"


def _keyword(key: str) -> str:
    return f"{key}=" if key else ""


def _operand(operator: str, code: Code) -> str:
    text = one_line(code)
    return (
        f"({text})"
        if operator == "*" and isinstance(code, BinOp) and code.operator == "+"
        else text
    )


def statement(start: str, code: Code, indent: int) -> list[str]:
    """`start` and the code after it, as lines."""
    pad = " " * indent
    if isinstance(code, BinOp) and indent + len(start) + len(one_line(code)) > WIDTH:
        return [f"{pad}{start}(", *_operand_lines("", code, "", indent + 4), f"{pad})"]
    return _lines(start, code, "", indent)


def _lines(start: str, code: Code, end: str, indent: int) -> list[str]:
    pad = " " * indent
    line = f"{pad}{start}{one_line(code)}{end}"
    if len(line) <= WIDTH:
        return [line]
    match code:
        case Call(name=name, args=args) if args:
            # A single argument that is a bracket itself needs no comma after it.
            comma = "" if len(args) == 1 and isinstance(args[0][1], Call | List) else ","
            inner = [
                text
                for key, value in args
                for text in _lines(_keyword(key), value, comma, indent + 4)
            ]
            return [f"{pad}{start}{name}(", *inner, f"{pad}){end}"]
        case List(items):
            inner = [text for item in items for text in _lines("", item, ",", indent + 4)]
            return [f"{pad}{start}[", *inner, f"{pad}]{end}"]
        case BinOp():
            return _operand_lines(start, code, end, indent)
        case Starred(element, counter, numbers):
            loop = f"for {counter} in {numbers}"
            whole = f"{one_line(element)} {loop}"
            fits = indent + 4 + len(whole) <= WIDTH
            inner = (
                [f"{pad}    {whole}"]
                if fits
                else [*_lines("", element, "", indent + 4), f"{pad}    {loop}"]
            )
            return [f"{pad}{start}*(", *inner, f"{pad}){end}"]
        case CallResult(call, operand):
            head = f"{pad}{start}{one_line(call)}("
            if len(head) <= WIDTH:
                return [head, *_lines("", operand, "", indent + 4), f"{pad}){end}"]
            return _lines(start, call, f"({one_line(operand)}){end}", indent)
        case _:
            return [line]


def _operand_lines(start: str, code: BinOp, end: str, indent: int) -> list[str]:
    """Operands under each other, or on the one line that brackets around them leave."""
    line = f"{' ' * indent}{start}{one_line(code)}{end}"
    if len(line) <= WIDTH:
        return [line]
    lines: list[str] = []
    for number, operand in enumerate(code.operands):
        mark = f"{code.operator} " if number else start
        lines += _lines(mark, operand, end if number == len(code.operands) - 1 else "", indent)
    return lines


def function_header(start: str, parameters: Sequence[str], end: str, indent: int) -> list[str]:
    """A function's head."""
    pad = " " * indent
    line = f"{pad}{start}({', '.join(parameters)}){end}"
    if len(line) <= WIDTH:
        return [line]
    together = f"{pad}    {', '.join(parameters)}"
    lines = (
        [together]
        if len(together) <= WIDTH
        else [f"{pad}    {parameter}," for parameter in parameters]
    )
    return [f"{pad}{start}(", *lines, f"{pad}){end}"]
