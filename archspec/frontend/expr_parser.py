"""The parser of the expression language: from text to a tree, by a whitelist, never by `eval`.

>>> from archspec.ir.expr import evaluate
>>> evaluate(parse_expression("${#3x3 reduce * 2}", {"#3x3 reduce"}), {"#3x3 reduce": 96})
192
>>> evaluate(parse_expression("block$i", {"i"}), {"i": 3})
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
    """Return the longest name that begins at `start` and is not part of a longer word, or ""."""
    for length in _lengths(names):
        name, stop = text[start : start + length], start + length
        if stop <= end and name in names:
            tail = text[stop : min(stop + 1, end)]
            if not (name[-1].isalnum() and (tail.isalnum() or tail == "_")):
                return name
    return ""


class _Parser:
    """Precedence climbing over text[i:end], with Python's precedence; `i` moves past each token."""

    def __init__(self, text: str, start: int, end: int, names: frozenset[str]) -> None:
        self.text = text
        self.i = start
        self.end = end
        self.names = names
        self.depth = 0
        self.operators = 0

    def expression(self) -> Expr:
        result = self.conditional()
        if (rest := self.next_start()) < self.end:
            message = f"unexpected {quote(self.text[rest : self.end])}"
            help = "compare with `==`" if self.text[rest] == "=" else ""
            raise ExprError("AS0501", message, rest, self.end, help)
        return result

    def fail(self, message: str) -> ExprError:
        start = self.next_start()
        return ExprError("AS0501", message, start, min(start + 1, self.end))

    def next_start(self) -> int:
        """Return the offset of the next token."""
        match = _SPACE.match(self.text, self.i, self.end)
        return match.end() if match else self.i

    def accept(self, token: str) -> bool:
        """Move past a sign or word if it comes next; return True if it did."""
        start = self.next_start()
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
        self.count_operator()
        return Apply(op, args, (start, self.i))

    def count_operator(self) -> None:
        """Bound the tree's depth: a long chain of operators nests as parentheses do."""
        self.operators += 1
        if self.operators > _MAX_OPERATORS:
            raise self.fail(f"more than {_MAX_OPERATORS} operators in one expression")

    def nested(self, parse: Callable[[], Expr]) -> Expr:
        """Parse one level deeper."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail(f"nested more than {_MAX_DEPTH} deep")
        result = parse()
        self.depth -= 1
        return result

    def conditional(self) -> Expr:
        start = self.next_start()
        then = self.binary(0)
        if not self.accept("if"):
            return then
        test = self.binary(0)
        if not self.accept("else"):
            raise self.fail("expected `else`: a choice reads `a if condition else b`")
        return self.apply("if", (test, then, self.nested(self.conditional)), start)

    def binary(self, least: int) -> Expr:
        start = self.next_start()
        if least <= _NOT and self.accept("not"):
            left = self.apply("not", (self.nested(lambda: self.binary(_NOT)),), start)
        else:
            left = self.unary()
        while (op := self.operator()) and _LEVELS[op] >= least:
            self.accept(op)
            level = _LEVELS[op]
            left = self.apply(op, (left, self.binary(level + 1)), start)
            if level == _COMPARISON and _LEVELS.get(self.operator()) == _COMPARISON:
                raise self.fail("comparisons do not chain; join them with `and`")
        return left

    def operator(self) -> str:
        """Return the infix operator that comes next, or ""."""
        match = _OPERATOR.match(self.text, self.i, self.end)
        return match[1] if match else ""

    def unary(self) -> Expr:
        start = self.next_start()
        if self.accept("-"):
            return self.apply("neg", (self.nested(self.unary),), start)
        result = self.attribute()
        if not self.accept("**"):
            return result
        return self.apply("**", (result, self.nested(self.unary)), start)

    def attribute(self) -> Expr:
        start = self.next_start()
        result = self.operand()
        while self.accept("."):
            word = _WORD.match(self.text, self.i, self.end)
            if not word:
                raise self.fail("expected a name after the dot")
            self.i = word.end()
            self.count_operator()
            result = Attribute(result, word.group(), (start, self.i))
        return result

    def operand(self) -> Expr:
        start = self.next_start()
        if name := _longest(self.names, self.text, start, self.end):
            self.i = start + len(name)
            return Name(name, (start, self.i))
        char = self.text[start] if start < self.end else ""
        if char == "(":
            return self.group(start)
        if char and char in "'\"":
            return self.string(char, start)
        if number := _NUMBER.match(self.text, start, self.end):
            return self.number(number)
        if word := _WORD.match(self.text, start, self.end):
            self.i = word.end()
            return self.word(word.group(), start)
        raise self.fail(f"expected a value, found {quote(char) if char else 'the end'}")

    def group(self, start: int) -> Expr:
        """Parse an expression in parentheses."""
        self.i = start + 1
        inner = self.nested(self.conditional)
        if not self.accept(")"):
            raise self.fail("expected `)`")
        return inner

    def string(self, quotation: str, start: int) -> Const:
        close = self.text.find(quotation, start + 1, self.end)
        if close < 0:
            raise self.fail("the string does not end")
        self.i = close + 1
        return Const(self.text[start + 1 : close], (start, self.i))

    def number(self, match: re.Match[str]) -> Expr:
        start, self.i = match.span()
        digits = match.group()
        is_integer = digits.isdigit()
        if is_integer:
            # The length first: converting a long integer takes quadratic time.
            is_too_large = len(digits) > 19 or int(digits) > LIMIT
        else:
            is_too_large = math.isinf(float(digits))
        if is_too_large:
            help = "values stay below 2**62"
            raise ExprError("AS0505", "the number is too large", start, self.i, help)
        return Const(int(digits) if is_integer else float(digits), (start, self.i))

    def word(self, word: str, start: int) -> Expr:
        """Parse `true`, `false` or the call of a function; no argument has that name."""
        if word in ("true", "false"):
            return Const(word == "true", (start, self.i))
        if not self.accept("("):
            help = did_you_mean(word, sorted(self.names - {"in"}), "arguments")
            raise ExprError("AS0401", f"undefined argument {quote(word)}", start, self.i, help)
        if word not in _FUNCTIONS:
            help = did_you_mean(word, _FUNCTIONS, "functions")
            message = f"unknown function {quote(word)}"
            raise ExprError("AS0502", message, start, start + len(word), help)
        args = [self.nested(self.conditional)]
        while self.accept(","):
            args.append(self.nested(self.conditional))
        if not self.accept(")"):
            raise self.fail("expected `)`")
        least, most = _FUNCTIONS[word]
        if not least <= len(args) <= most:
            takes = "one value" if most == 1 else f"{least} to {most} values"
            raise ExprError("AS0501", f"`{word}` takes {takes}, found {len(args)}", start, self.i)
        return self.apply(word, tuple(args), start)


def parse_expression(text: str, names: Collection[str]) -> Expr | str:
    """Return the expression that a text holds, or the text itself if it holds none.

    `names` are the arguments that it may read; `$$` stands for a dollar. Raises `ExprError`.
    """
    if "$" not in text:
        return text
    if len(text) > _MAX_LENGTH:
        message = f"an expression has at most {_MAX_LENGTH} characters"
        raise ExprError("AS0501", message, 0, len(text))
    names = frozenset(names)
    parts: list[Expr] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        if dollar > at:
            parts.append(Const(text[at:dollar], (at, dollar)))
        part, at = _part(text, dollar, names)
        parts.append(part)
    if at < len(text):
        parts.append(Const(text[at:], (at, len(text))))
    if len(parts) == 1 and not text.startswith("$$"):
        return parts[0]
    return Apply("join", tuple(parts), (0, len(text)))


def _part(text: str, dollar: int, names: frozenset[str]) -> tuple[Expr, int]:
    """Return the expression that a dollar begins, and where it ends."""
    start = dollar + 1
    match = _DOLLAR.match(text, dollar)
    body = match[1] if match else ""
    if body == "$":
        return Const("$", (dollar, dollar + 2)), dollar + 2
    if body == "{":
        end = text.find("}", dollar)
        if end < 0:
            raise ExprError("AS0501", "`${` is not closed by `}`", dollar, dollar + 2)
        return _Parser(text, dollar + 2, end, names).expression(), end + 1
    name = _longest(names, text, start, len(text)) or body
    if not name:
        help = "write `$$` for a dollar sign"
        raise ExprError("AS0501", "`$` starts an expression: $name or ${...}", dollar, start, help)
    tail = _ATTRIBUTES.match(text, start + len(name))
    end = tail.end() if tail else start + len(name)
    return _Parser(text, start, end, names).expression(), end
