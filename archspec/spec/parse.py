"""The expression language of specs, read: text to a tree, against a whitelist; nothing is ever given to `eval`.

>>> from archspec.expr import evaluate
>>> evaluate(parse("${#3x3 reduce * 2}", {"#3x3 reduce"}), {"#3x3 reduce": 96})
192
>>> evaluate(parse("block$i", {"i"}), {"i": 3})
'block3'

Argument names may hold spaces, `#` and `/`; at each operand the longest known name wins.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from archspec.diagnostics import did_you_mean, quote
from archspec.expr import Apply, Attribute, Const, Expr, ExprError, Name
from archspec.types import LIMIT

_FUNCTIONS = {"min": (1, 9), "max": (1, 9), "round": (1, 1), "floor": (1, 1), "ceil": (1, 1)}
_LEVELS = (("==", "!=", "<=", ">=", "<", ">"), ("+", "-"), ("//", "/", "*", "%"))
_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_WORD = re.compile(r"[^\W\d]\w*")
_DOLLAR = re.compile(r"\$(\$|\{|[^\W\d]\w*)")
_ATTRIBUTES = re.compile(r"(?:\.[^\W\d]\w*)*")
_MAX_LENGTH, _MAX_DEPTH = 2000, 40


def _stands(name: str, text: str, start: int, end: int) -> bool:
    """Whether a name stands there whole, and not as the beginning of a longer word."""
    stop = start + len(name)
    if stop > end or not text.startswith(name, start):
        return False
    tail = text[stop : min(stop + 1, end)]
    return not (name[-1:].isalnum() and (tail.isalnum() or tail == "_"))


class _Parser:
    """Recursive descent over text[i:end]; precedence as in Python."""

    def __init__(self, text: str, start: int, end: int, names: Collection[str]) -> None:
        self.text, self.i, self.end = text, start, end
        self.names = sorted(names, key=len, reverse=True)
        self.depth = 0

    def whole(self) -> Expr:
        result = self.conditional()
        if self.peek():
            raise self.fail(f"unexpected {quote(self.text[self.i : self.end])}")
        return result

    def fail(self, message: str) -> ExprError:
        return ExprError("AS0501", message, self.i, min(self.i + 1, self.end))

    def peek(self) -> str:
        while self.i < self.end and self.text[self.i].isspace():
            self.i += 1
        return self.text[self.i] if self.i < self.end else ""

    def take(self, *tokens: str) -> str:
        self.peek()
        for token in tokens:
            stop = self.i + len(token)
            if stop <= self.end and self.text.startswith(token, self.i):
                if token.isalpha() and stop < self.end and (self.text[stop].isalnum() or self.text[stop] == "_"):
                    continue
                if token == "*" and self.text.startswith("**", self.i):
                    continue
                self.i = stop
                return token
        return ""

    def conditional(self) -> Expr:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail(f"nested more than {_MAX_DEPTH} deep")
        start, then = self.i, self.logical("or")
        if self.take("if"):
            test = self.logical("or")
            if not self.take("else"):
                raise self.fail("expected `else`: a choice reads `a if condition else b`")
            then = Apply("if", (test, then, self.conditional()), (start, self.i))
        self.depth -= 1
        return then

    def logical(self, word: str) -> Expr:
        def operand() -> Expr:
            return self.logical("and") if word == "or" else self.negation()

        start, left = self.i, operand()
        while self.take(word):
            left = Apply(word, (left, operand()), (start, self.i))
        return left

    def negation(self) -> Expr:
        start = self.i
        if self.take("not"):
            self.depth += 1
            if self.depth > _MAX_DEPTH:
                raise self.fail(f"nested more than {_MAX_DEPTH} deep")
            inner = self.negation()
            self.depth -= 1
            return Apply("not", (inner,), (start, self.i))
        return self.binary(0)

    def binary(self, level: int) -> Expr:
        if level == len(_LEVELS):
            return self.unary()
        self.peek()
        start, left = self.i, self.binary(level + 1)
        while op := self.take(*_LEVELS[level]):
            left = Apply(op, (left, self.binary(level + 1)), (start, self.i))
            if level == 0 and self.take(*_LEVELS[0]):
                raise self.fail("comparisons do not chain; join them with `and`")
        return left

    def unary(self) -> Expr:
        self.peek()
        start = self.i
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail(f"nested more than {_MAX_DEPTH} deep")
        if self.take("-"):
            result: Expr = Apply("neg", (self.unary(),), (start, self.i))
        else:
            result = self.attribute()
            if self.take("**"):
                result = Apply("**", (result, self.unary()), (start, self.i))
        self.depth -= 1
        return result

    def attribute(self) -> Expr:
        result = self.operand()
        while self.peek() == ".":
            self.i += 1
            word = _WORD.match(self.text, self.i, self.end)
            if not word:
                raise self.fail("expected a name after the dot")
            self.i = word.end()
            result = Attribute(result, word.group(), (result.at[0], self.i))
        return result

    def operand(self) -> Expr:
        char, start = self.peek(), self.i
        for name in self.names:
            if _stands(name, self.text, start, self.end):
                self.i = start + len(name)
                return Name(name, (start, self.i))
        if char == "(":
            self.i += 1
            inner = self.conditional()
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
            return self.word(word.group(), start)
        raise self.fail(f"expected a value, found {quote(char)}" if char else "expected a value, found the end")

    def number(self, match: re.Match[str]) -> Expr:
        start, self.i = match.span()
        digits = match.group()
        plain = digits.isdigit()
        if (plain and len(digits) > 19) or (plain and int(digits) > LIMIT) or math.isinf(float(digits)):
            raise ExprError("AS0505", "the number is too large", start, self.i)
        return Const(int(digits) if plain else float(digits), (start, self.i))

    def word(self, word: str, start: int) -> Expr:
        self.i = start + len(word)
        if word in ("true", "false"):
            return Const(word == "true", (start, self.i))
        if self.peek() == "(":
            if word not in _FUNCTIONS:
                raise ExprError(
                    "AS0502",
                    f"unknown function {quote(word)}",
                    start,
                    self.i,
                    did_you_mean(word, _FUNCTIONS, "functions"),
                )
            self.i += 1
            args = [self.conditional()]
            while self.take(","):
                args.append(self.conditional())
            if not self.take(")"):
                raise self.fail("expected `)`")
            least, most = _FUNCTIONS[word]
            if not least <= len(args) <= most:
                raise ExprError("AS0501", f"`{word}` takes {least} value, not {len(args)}", start, self.i)
            return Apply(word, tuple(args), (start, self.i))
        raise ExprError(
            "AS0401",
            f"undefined argument {quote(word)}",
            start,
            start + len(word),
            did_you_mean(word, [n for n in self.names if n != "in"], "arguments"),
        )


def parse(text: str, names: Collection[str]) -> Expr | str:
    """The expression that a scalar holds, or the plain text where it holds none; `$$` stands for a dollar."""
    if "$" not in text:
        return text
    if len(text) > _MAX_LENGTH:
        raise ExprError("AS0501", f"an expression has at most {_MAX_LENGTH} characters", 0, 1)
    parts: list[Expr] = []
    at = 0
    while (found := text.find("$", at)) >= 0:
        match = _DOLLAR.match(text, found)
        named = any(_stands(n, text, found + 1, len(text)) for n in names)
        if not match and not named:
            raise ExprError(
                "AS0501", "`$` starts an expression: $name or ${...}", found, found + 1, "write `$$` for a dollar sign"
            )
        if found > at:
            parts.append(Const(text[at:found], (at, found)))
        body = match.group(1) if match else ""
        if body == "$":
            parts.append(Const("$", (found, found + 2)))
            at = found + 2
            continue
        if body == "{":
            start, end = found + 2, text.find("}", found)
            if end < 0:
                raise ExprError("AS0501", "`${` is not closed by `}`", found, found + 2)
            at = end + 1
        else:
            start = found + 1
            longest = max((n for n in names if _stands(n, text, start, len(text))), key=len, default=body)
            tail = _ATTRIBUTES.match(text, start + len(longest))
            end = at = tail.end() if tail else start + len(longest)
        parts.append(_Parser(text, start, end, names).whole())
    if at < len(text):
        parts.append(Const(text[at:], (at, len(text))))
    if len(parts) == 1 and not (isinstance(parts[0], Const) and text.startswith("$$")):
        return parts[0]
    return Apply("join", tuple(parts), (0, len(text)))
