"""The expression language of specs, read: text to a tree, against a whitelist; nothing is ever given to `eval`.

>>> from archspec.ir.expr import evaluate
>>> evaluate(parse("${#3x3 reduce * 2}", {"#3x3 reduce"}), {"#3x3 reduce": 96})
192
>>> evaluate(parse("block$i", {"i"}), {"i": 3})
'block3'

Argument names may hold spaces, `#` and `/`; at each operand the longest known name wins.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from functools import lru_cache

from archspec.diagnostics import did_you_mean, quote
from archspec.ir.expr import Apply, Attribute, Const, Expr, ExprError, Name
from archspec.ir.types import LIMIT

_FUNCTIONS = {"min": (1, 9), "max": (1, 9), "round": (1, 1), "floor": (1, 1), "ceil": (1, 1)}
_LEVELS = {
    "or": 0, "and": 1, "==": 3, "!=": 3, "<=": 3, ">=": 3, "<": 3, ">": 3,
    "+": 4, "-": 4, "//": 5, "/": 5, "*": 5, "%": 5,
}  # fmt: skip
_NOT, _COMPARISON = 2, 3
_OPERATOR = re.compile(r"\s*((?:or|and)(?!\w)|==|!=|<=|>=|[<>]|\+|-|//|/|%|\*(?!\*))")
_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_WORD = re.compile(r"[^\W\d]\w*")
_DOLLAR = re.compile(r"\$(\$|\{|[^\W\d]\w*)")
_ATTRIBUTES = re.compile(r"(?:\.[^\W\d]\w*)*")
_MAX_LENGTH, _MAX_DEPTH, _MAX_OPERATORS = 2000, 30, 100


@lru_cache(maxsize=256)
def _lengths(names: frozenset[str]) -> tuple[int, ...]:
    return tuple(sorted({len(name) for name in names if name}, reverse=True))


def _longest(names: frozenset[str], text: str, start: int, end: int) -> str:
    """The longest name that stands there whole, and not as the beginning of a longer word; else an empty one."""
    for length in _lengths(names):
        name, stop = text[start : start + length], start + length
        if stop <= end and name in names:
            tail = text[stop : min(stop + 1, end)]
            if not (name[-1].isalnum() and (tail.isalnum() or tail == "_")):
                return name
    return ""


class _Parser:
    """Precedence climbing over text[i:end], with Python's precedence; `i` is the end of what has been read."""

    def __init__(self, text: str, start: int, end: int, names: frozenset[str]) -> None:
        self.text, self.i, self.end, self.names = text, start, end, names
        self.depth = self.operators = 0

    def whole(self) -> Expr:
        result = self.conditional()
        if (rest := self.begin()) < self.end:
            help = "compare with `==`" if self.text[rest] == "=" else ""
            raise ExprError(
                "AS0501", f"unexpected {quote(self.text[rest : self.end])}", rest, self.end, help
            )
        return result

    def fail(self, message: str) -> ExprError:
        start = self.begin()
        return ExprError("AS0501", message, start, min(start + 1, self.end))

    def begin(self) -> int:
        """Where the next token begins."""
        match = _SPACE.match(self.text, self.i, self.end)
        return match.end() if match else self.i

    def take(self, token: str) -> bool:
        """Whether that sign or word comes next; then it is read."""
        start = self.begin()
        stop = start + len(token)
        if stop > self.end or not self.text.startswith(token, start):
            return False
        if (
            token.isalpha()
            and stop < self.end
            and (self.text[stop].isalnum() or self.text[stop] == "_")
        ):
            return False
        self.i = stop
        return True

    def apply(self, op: str, args: tuple[Expr, ...], start: int) -> Expr:
        self.one_more()
        return Apply(op, args, (start, self.i))

    def one_more(self) -> None:
        """Bounds the tree's depth, which a long chain of operators has as well."""
        self.operators += 1
        if self.operators > _MAX_OPERATORS:
            raise self.fail(f"more than {_MAX_OPERATORS} operators in one expression")

    def nested(self, read: Callable[[], Expr]) -> Expr:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail(f"nested more than {_MAX_DEPTH} deep")
        result = read()
        self.depth -= 1
        return result

    def conditional(self) -> Expr:
        start, then = self.begin(), self.binary(0)
        if not self.take("if"):
            return then
        test = self.binary(0)
        if not self.take("else"):
            raise self.fail("expected `else`: a choice reads `a if condition else b`")
        return self.apply("if", (test, then, self.nested(self.conditional)), start)

    def binary(self, least: int) -> Expr:
        start = self.begin()
        if least <= _NOT and self.take("not"):
            left = self.apply("not", (self.nested(lambda: self.binary(_NOT)),), start)
        else:
            left = self.unary()
        while (op := self.operator()) and _LEVELS[op] >= least:
            self.take(op)
            level = _LEVELS[op]
            left = self.apply(op, (left, self.binary(level + 1)), start)
            if level == _COMPARISON and _LEVELS.get(self.operator()) == _COMPARISON:
                raise self.fail("comparisons do not chain; join them with `and`")
        return left

    def operator(self) -> str:
        """The infix operator that comes next, if one does."""
        match = _OPERATOR.match(self.text, self.i, self.end)
        return match[1] if match else ""

    def unary(self) -> Expr:
        start = self.begin()
        if self.take("-"):
            return self.apply("neg", (self.nested(self.unary),), start)
        result = self.attribute()
        return (
            self.apply("**", (result, self.nested(self.unary)), start)
            if self.take("**")
            else result
        )

    def attribute(self) -> Expr:
        start, result = self.begin(), self.operand()
        while self.take("."):
            word = _WORD.match(self.text, self.i, self.end)
            if not word:
                raise self.fail("expected a name after the dot")
            self.i = word.end()
            self.one_more()
            result = Attribute(result, word.group(), (start, self.i))
        return result

    def operand(self) -> Expr:
        start = self.begin()
        if name := _longest(self.names, self.text, start, self.end):
            self.i = start + len(name)
            return Name(name, (start, self.i))
        char = self.text[start] if start < self.end else ""
        if char == "(":
            self.i = start + 1
            inner = self.nested(self.conditional)
            if not self.take(")"):
                raise self.fail("expected `)`")
            return inner
        if char in ("'", '"') and char:
            close = self.text.find(char, start + 1, self.end)
            if close < 0:
                raise self.fail("the string does not end")
            self.i = close + 1
            return Const(self.text[start + 1 : close], (start, self.i))
        if number := _NUMBER.match(self.text, start, self.end):
            return self.number(number)
        if word := _WORD.match(self.text, start, self.end):
            self.i = word.end()
            return self.word(word.group(), start)
        raise self.fail(
            f"expected a value, found {quote(char)}" if char else "expected a value, found the end"
        )

    def number(self, match: re.Match[str]) -> Expr:
        start, self.i = match.span()
        digits = match.group()
        plain = digits.isdigit()
        if (plain and (len(digits) > 19 or int(digits) > LIMIT)) or (
            not plain and math.isinf(float(digits))
        ):
            raise ExprError(
                "AS0505", "the number is too large", start, self.i, "values stay below 2**62"
            )
        return Const(int(digits) if plain else float(digits), (start, self.i))

    def word(self, word: str, start: int) -> Expr:
        if word in ("true", "false"):
            return Const(word == "true", (start, self.i))
        if not self.take("("):
            help = did_you_mean(word, sorted(self.names - {"in"}), "arguments")
            raise ExprError("AS0401", f"undefined argument {quote(word)}", start, self.i, help)
        if word not in _FUNCTIONS:
            help = did_you_mean(word, _FUNCTIONS, "functions")
            raise ExprError(
                "AS0502", f"unknown function {quote(word)}", start, start + len(word), help
            )
        args = [self.nested(self.conditional)]
        while self.take(","):
            args.append(self.nested(self.conditional))
        if not self.take(")"):
            raise self.fail("expected `)`")
        least, most = _FUNCTIONS[word]
        if not least <= len(args) <= most:
            wanted = "one value" if most == 1 else f"{least} to {most} values"
            raise ExprError("AS0501", f"`{word}` takes {wanted}, found {len(args)}", start, self.i)
        return self.apply(word, tuple(args), start)


def parse(text: str, names: Collection[str]) -> Expr | str:
    """The expression that a scalar holds, or the plain text where it holds none; `$$` stands for a dollar."""
    if "$" not in text:
        return text
    if len(text) > _MAX_LENGTH:
        raise ExprError(
            "AS0501", f"an expression has at most {_MAX_LENGTH} characters", 0, len(text)
        )
    known = frozenset(names)
    parts: list[Expr] = []
    at = 0
    while (found := text.find("$", at)) >= 0:
        if found > at:
            parts.append(Const(text[at:found], (at, found)))
        part, at = _part(text, found, known)
        parts.append(part)
    if at < len(text):
        parts.append(Const(text[at:], (at, len(text))))
    if len(parts) == 1 and not text.startswith("$$"):
        return parts[0]
    return Apply("join", tuple(parts), (0, len(text)))


def _part(text: str, found: int, names: frozenset[str]) -> tuple[Expr, int]:
    """What the dollar at `found` begins, and where it ends."""
    start, match = found + 1, _DOLLAR.match(text, found)
    body = match[1] if match else ""
    if body == "$":
        return Const("$", (found, found + 2)), found + 2
    if body == "{":
        end = text.find("}", found)
        if end < 0:
            raise ExprError("AS0501", "`${` is not closed by `}`", found, found + 2)
        return _Parser(text, found + 2, end, names).whole(), end + 1
    name = _longest(names, text, start, len(text)) or body
    if not name:
        help = "write `$$` for a dollar sign"
        raise ExprError("AS0501", "`$` starts an expression: $name or ${...}", found, start, help)
    tail = _ATTRIBUTES.match(text, start + len(name))
    end = tail.end() if tail else start + len(name)
    return _Parser(text, start, end, names).whole(), end
