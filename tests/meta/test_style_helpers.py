"""The measures of style, fed source that they have to count and source that they have not."""

from collections.abc import Callable, Iterable

import pytest

from tests.helpers import style

LONG = "def f(x):\n" + "".join(f"    if x == {i}: pass\n" for i in range(10))


@pytest.mark.parametrize(
    ("measure", "counted", "passed"),
    [
        (style.nested_conditionals, "x = (1 if a else 2) if b else 3", "x = 1 if a else 2"),
        (style.nested_conditionals, "x = 1 if (2 if a else b) else 3", "x = f(1 if a else 2) if b else 3"),
        (style.vague_openers, 'def f():\n    """Whether it is."""', 'def f():\n    """Return whether it is."""'),
        (style.vague_openers, '"""How it is."""', '"""However it is."""'),
        (style.vague_openers, 'class A:\n    """Those that are."""', "class A: ..."),
        (style.vague_assignments, "known: int = 1", "known_names: int = 1"),
        (style.vague_assignments, "a, (b, told) = c", "a, (b, c) = told"),
        (style.branching_functions, LONG, LONG.replace("    if x == 9: pass\n", "")),
    ],
)  # fmt: skip
def test_it_counts_what_it_is_for_and_nothing_else(
    measure: Callable[[str], Iterable[object]], counted: str, passed: str
) -> None:
    assert list(measure(counted))
    assert not list(measure(passed))


def test_numbers_are_numbers() -> None:
    source = "x = [a for a in b if (1 if a else 2)]\n\ny = {a: 1 for a in b}\n"
    assert style.conditionals(source) == 1
    assert style.comprehensions(source) == 2
    assert style.code_lines(source) == 2


def test_private_names_and_inner_classes_may_be_shared() -> None:
    text = "class _A: ...\nclass B:\n    class C: ..."
    assert style.shared_classes({"one": text, "two": text}) == {"B": ["one", "two"]}
