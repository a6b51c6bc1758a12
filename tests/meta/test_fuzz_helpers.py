"""The judges of commands and of damaged specs, fed what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.compiler import check
from archspec.diagnostics import Diagnostic, Failure
from archspec.images import UnreadableSample
from tests.fuzz import test_commands, test_damage, test_files, test_hostile_names
from tests.helpers import damage, effort, language
from tests.helpers.language import net

GOOD, BAD = net("- relu"), net("- rellu")


def says(code: int, text: str = "") -> Callable[[Sequence[str]], int]:
    def main(_: Sequence[str]) -> int:
        print(text, end="")
        return code

    return main


def breaks(_: Sequence[str]) -> int:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "main",
    [says(70, "this is a fault"), says(1), says(2, " \n"), breaks],
    ids=["fault", "silent", "blank", "raises"],
)
def test_a_command_that_does_not_end_orderly_is_told(
    main: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_commands, "main", says(1, "why"))
    assert test_commands.ended("check") == (1, "why", "")
    monkeypatch.setattr(test_commands, "main", main)
    with pytest.raises((AssertionError, ZeroDivisionError)):
        test_commands.ended("check")


def altered(change: Callable[[Any, tuple[Diagnostic, ...]], tuple[Any, Any]]) -> Callable[..., Any]:
    def checked(*given: Any, **options: Any) -> Any:
        return change(*check(*given, **options))

    return checked


def elsewhere(spec: Any, found: tuple[Diagnostic, ...]) -> tuple[Any, Any]:
    return spec, tuple(
        replace(one, span=one.span._replace(end_line=one.span.end_line + 99)) for one in found
    )


WRONG: dict[str, tuple[str, Callable[..., tuple[Any, Any]]]] = {
    "refused without a reason": (BAD, lambda spec, found: (None, ())),
    "accepted in spite of errors": (BAD, lambda spec, found: (check_good(), found)),
    "an unknown code": (
        BAD,
        lambda spec, found: (spec, tuple(replace(one, code="AS9999") for one in found)),
    ),
    "no words": (
        BAD,
        lambda spec, found: (spec, tuple(replace(one, message=" ") for one in found)),
    ),
    "a place outside": (BAD, elsewhere),
}


def check_good() -> Any:
    return language.good(GOOD)


@pytest.mark.parametrize("what", WRONG)
def test_a_checker_that_breaks_its_promises_is_told(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, change = WRONG[what]
    assert test_damage.hold(text) is None
    assert test_damage.hold(GOOD) is not None
    monkeypatch.setattr(test_damage, "check", altered(change))
    with pytest.raises((AssertionError, KeyError)):
        test_damage.hold(text)


def test_a_hostile_spec_that_computes_something_else_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = test_hostile_names.filled({})
    assert test_hostile_names.hold(text)
    computed = test_hostile_names.computed
    monkeypatch.setattr(
        test_hostile_names, "computed", lambda spec: [y + 1e-6 for y in computed(spec)]
    )
    with pytest.raises(AssertionError):
        test_hostile_names.hold(text)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("ours"), Failure("of another kind"), UnreadableSample(" ")]
)  # fmt: skip
def test_a_reader_of_damaged_files_that_ends_otherwise_is_told_and_the_file_kept(
    tmp_path: Path, error: Exception
) -> None:
    with test_files.judged(tmp_path, b"damaged", UnreadableSample):
        raise UnreadableSample("cannot read it")
    with (
        pytest.raises((AssertionError, type(error))),
        test_files.judged(tmp_path, b"damaged", UnreadableSample),
    ):
        raise error


def test_a_reader_that_takes_too_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_files, "SECONDS", 0)
    with pytest.raises(AssertionError), test_files.judged(tmp_path, b"damaged", UnreadableSample):
        sum(range(10**6))
    assert (tmp_path / "kept.bin").read_bytes() == b"damaged"


def test_files_are_damaged_in_their_head_their_end_and_between() -> None:
    random, raw = np.random.default_rng(0), bytes(range(256)) * 8
    found = [damage.damaged_bytes(random, raw) for _ in range(300)]
    assert sum(content != raw for content in found) > 290
    assert len({len(content) for content in found}) > 20
    assert {content[:40] == raw[:40] for content in found} == {True, False}
    assert {content[-40:] == raw[-40:] for content in found} == {True, False}
    assert damage.damaged_bytes(random, b"") is not None


@pytest.mark.parametrize("deep", [False, True])
def test_the_shares_of_a_large_number_add_up(monkeypatch: pytest.MonkeyPatch, deep: bool) -> None:
    monkeypatch.setattr(effort, "is_deep", lambda: deep)
    tried = len(effort.shares()) * effort.of_share(400, deep=50_001)
    assert tried == (50_010 if deep else 400)


def test_what_is_good_and_what_is_the_one_error_are_told_apart() -> None:
    assert language.the(BAD, "AS0203", "rellu").code == "AS0203"
    for wrong in (
        lambda: language.good(BAD),
        lambda: language.the(GOOD, "AS0203"),
        lambda: language.the(BAD, "AS0204"),
        lambda: language.the(BAD, "AS0203", "relu"),
    ):
        with pytest.raises(AssertionError):
            wrong()
