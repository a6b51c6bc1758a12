"""The source reads like the field's: plain names, open lines, docstrings that begin with a verb or a noun.

The bounds are figures of projects that read well (xDSL, equinox, onnx-ir, einops), rounded.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from archspec.ops import OPS
from tests.helpers import style
from tests.helpers.architecture import module_name, product_files

ROOT = Path(__file__).parent.parent
SOURCES = {path: path.read_text(encoding="utf-8") for path in product_files(ROOT)}


def places(measure: Callable[[str], Iterable[object]]) -> list[str]:
    """Each place that a measure counts, with its file."""
    return [
        f"{path.relative_to(ROOT)}: {place}"
        for path, source in SOURCES.items()
        for place in measure(source)
    ]


def per_hundred_lines(measure: Callable[[str], int]) -> float:
    lines = sum(style.code_lines(source) for source in SOURCES.values())
    return 100 * sum(measure(source) for source in SOURCES.values()) / lines


def test_no_conditional_expression_holds_another() -> None:
    assert places(style.nested_conditionals) == []


def test_docstrings_open_with_a_verb_or_a_noun() -> None:
    assert places(style.vague_openers) == []


def test_variables_are_named_after_what_they_hold() -> None:
    found = places(style.vague_assignments)
    assert len(found) <= 20, found


def test_few_functions_have_ten_branches() -> None:
    found = places(style.branching_functions)
    assert len(found) <= 60, found


def test_a_class_name_means_one_class() -> None:
    ops = {op.__name__ for op in OPS.values()}
    modules = {module_name(path, ROOT): text for path, text in SOURCES.items()}
    # A backend's helpers are copied into users' files, which never meet each other.
    ours = {name: text for name, text in modules.items() if ".helpers" not in name}
    assert [name for name in style.shared_classes(ours) if name not in ops] == []


def test_conditional_expressions_and_comprehensions_are_few() -> None:
    assert per_hundred_lines(style.conditionals) <= 3
    assert per_hundred_lines(style.comprehensions) <= 5
