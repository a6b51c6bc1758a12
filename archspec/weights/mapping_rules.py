"""The rules of a mapping, with each word in braces put in: where every portable tensor lies."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from archspec.backend.file_tensor import FlatOrder
from archspec.diagnostics import Report, did_you_mean, quote
from archspec.frontend.pydantic_errors import SpanOf

MAX_NAMES = 1_000_000
YAML_DOT = re.compile(r"^([-+]?)\.(?=(?:inf|nan)$)", re.IGNORECASE)
"""What YAML writes before `inf` and `nan`, and Python does not."""
WORD = re.compile(r"\{(\w+)\}")

Words = Mapping[str, Sequence[str] | Mapping[str, str]]
"""The values of each word in braces: foreign and portable ones, where the two differ."""


@dataclass(frozen=True, slots=True)
class TensorSource:
    """A tensor of a file, and what a rule says of it in place of the file."""

    name: str
    transpose: Literal["in_out", "none"] | None = None
    rows: FlatOrder | None = None
    divide_by: str = ""
    split: tuple[str, ...] = ()
    """The portable tensors that lie in it one after the other."""


Sources = dict[str, TensorSource]
"""By portable name."""


class RuleExpansion:
    """Puts the words into rules, and reports whatever does not add up where it stands."""

    def __init__(self, where: Words, span_of: SpanOf, report: Report) -> None:
        self.where, self.span_of, self.report = where, span_of, report
        self.sources: Sources = {}
        self.used: set[str] = set()
        self._taken: set[str] = set()

    def add(self, prefix: str, name: str, rule: Mapping[str, Any]) -> None:
        """Add the tensors of one rule; `rule` has the fields of `mapping.Rule`."""
        targets: list[str] = [*rule["split"]] or [rule["to"]]
        if bool(rule["split"]) == bool(rule["to"]):
            self._fail(name, "a rule needs either `to` or `split`")
            return
        if not self._words_fit(name, [*targets, rule["divide_by"]]):
            return
        for foreign, portable in self._values(name):
            theirs, ours = _filled(name, foreign), [_filled(to, portable) for to in targets]
            if theirs in self._taken:
                self._fail(name, f"two rules take {quote(theirs)}", code="AS0108")
                return
            self._taken.add(theirs)
            divide_by = self._divisor(prefix, name, _filled(rule["divide_by"], foreign))
            if divide_by is None:
                return
            split = tuple(ours) if rule["split"] else ()
            source = TensorSource(
                prefix + theirs, rule["transpose"], rule["rows"], divide_by, split
            )
            self._give(name, ours, source)

    def _give(self, rule: str, names: Sequence[str], source: TensorSource) -> None:
        """Add where portable tensors lie; report one that another rule has given."""
        for name in names:
            if name in self.sources:
                self._fail(rule, f"two rules give {quote(name)}", code="AS0108")
            self.sources.setdefault(name, source)

    def check_words(self) -> None:
        """Report the words that no rule uses."""
        for word in self.where:
            if word not in self.used:
                span = self.span_of(("where", word), True)
                self.report.error("AS0205", span, f"{quote(word)} in `where` is in no rule")

    def _words_fit(self, name: str, targets: Sequence[str]) -> bool:
        """Report a word without values, one that is on one side only, and too many names."""
        words = WORD.findall(name)
        self.used.update(words)
        missing = [word for word in words if word not in self.where]
        if missing:
            message = f"{quote(missing[0])} in {quote(name)} is not in `where`"
            self._fail(name, message, did_you_mean(missing[0], self.where, "words"))
            return False
        for target in targets[:-1]:
            if set(WORD.findall(target)) != set(words):
                message = f"{quote(name)} and {quote(target)} have not the same words in braces"
                self._fail(name, message, "every word stands on both sides")
                return False
        if extra := set(WORD.findall(targets[-1])) - set(words):
            self._fail(name, f"`divide_by` has {quote(min(extra))}, which the name has not")
            return False
        count = math.prod(len(self.where[word]) for word in set(words))
        if count + len(self.sources) > MAX_NAMES:
            self._fail(name, f"the rules stand for more than {MAX_NAMES:,} names")
            return False
        return True

    def _values(self, name: str) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
        """Yield foreign and portable values of the words in a name, in every combination."""
        words = sorted(set(WORD.findall(name)))
        pairs = [_pairs(self.where[word]) for word in words]
        for chosen in itertools.product(*pairs):
            yield (
                {word: pair[0] for word, pair in zip(words, chosen, strict=True)},
                {word: pair[1] for word, pair in zip(words, chosen, strict=True)},
            )

    def _divisor(self, prefix: str, rule: str, text: str) -> str | None:
        """Return a number, or a tensor's whole name; None for a number that cannot divide."""
        number = stated_number(text)
        if number is None:
            return prefix + text if text else ""
        if is_divisor(number):
            return text
        message = f"`divide_by` takes a finite number other than 0, found {quote(text)}"
        span = self.span_of(("rules", rule, "divide_by"), False)
        self.report.error("AS0205", span, message, help="or the name of a tensor in the file")
        return None

    def _fail(self, rule: str, message: str, help: str = "", code: str = "AS0205") -> None:
        self.report.error(code, self.span_of(("rules", rule), True), message, help=help)


def _pairs(values: Sequence[str] | Mapping[str, str]) -> list[tuple[str, str]]:
    if isinstance(values, Mapping):
        return list(values.items())
    return [(value, value) for value in values]


def _filled(template: str, words: Mapping[str, str]) -> str:
    return WORD.sub(lambda match: words[match[1]], template)


def stated_number(text: str) -> float | None:
    """Return the number that a `divide_by` states, `.nan` too; None if it names a tensor."""
    try:
        return float(YAML_DOT.sub(r"\1", text))
    except ValueError:
        return None


def is_divisor(number: float) -> bool:
    """Return whether values can be divided by a number."""
    return math.isfinite(number) and number != 0
