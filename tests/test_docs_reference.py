"""The reference pages say what the code says: generated ones are current, written ones complete."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import archspec
from archspec import document, reference_docs
from archspec.cli import COMMANDS, _parser
from archspec.cli.common import spec_arguments
from archspec.diagnostics import Report
from archspec.document import Document
from archspec.ops import OPS
from archspec.spec import blocks, form, network, variant
from archspec.spec.arguments import TYPES
from archspec.spec.parse import parse
from archspec.spec.schema import schema
from archspec.types import parse_size

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
LANGUAGE = (REFERENCE / "language.md").read_text()
COMMAND_LINE = (REFERENCE / "command-line.md").read_text()


def section(page: str, title: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no heading {title!r}"
    return found[2]


def table(text: str, title: str = "") -> dict[str, str]:
    """The rows of the first table (whose first column has that title): code in the first column, the rest as text."""
    head = rf"^\| *{re.escape(title)}" if title else r"^\|"
    found = re.search(rf"{head}.*\n\|[-| ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, f"no table {title!r}"
    rows = (line.strip("|\n").split("|", 1) for line in found[1].splitlines())
    return {name.strip(): rest for first, rest in rows for name in re.findall(r"`([^`]+)`", first)}


# Generated files.


def test_the_page_of_the_ops_is_what_the_declarations_say() -> None:
    written = (REFERENCE / "ops.md").read_text()
    assert written == reference_docs.page(), "run `python -m archspec.reference_docs > docs/reference/ops.md`"


def test_the_schema_beside_the_specs_is_what_the_ops_say() -> None:
    written = json.loads((ROOT / "specs" / "archspec.schema.json").read_text())
    assert written == schema(), "run `archspec schema > specs/archspec.schema.json`"


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.kind)
def test_the_example_of_an_op_is_a_step_that_does_what_the_page_says(op: Any, tmp_path: Path) -> None:
    """Each input is made from a single value by a linear layer and a reshape; `output` then checks the page."""
    example = reference_docs.example_of(op)
    inputs = [[*parse_size(shape)] for shape in example.before.split(" and ")]
    steps: list[str] = []
    for number, shape in enumerate(inputs):
        steps.append(f"{{name: flat{number}, from: input, linear: {{out: {' * '.join(map(str, shape))}}}}}")
        size = 1
        for axis in shape:
            size *= axis
        steps[-1] = f"{{name: flat{number}, from: input, linear: {{out: {size}}}}}"
        steps.append(f"{{name: in{number}, reshape: {{to: {shape}}}}}")
    names = ", ".join(f"in{number}" for number in range(len(inputs)))
    step = example.step if ":" in example.step else f"{example.step}: "
    steps.append(f"{{from: {f'[{names}]' if len(inputs) > 1 else names}, {step}, output: {[*parse_size(example.after)]}}}")
    path = tmp_path / "net.yaml"
    path.write_text("archspec: 1\ninput: [1]\nnetwork:\n" + "".join(f"  - {step}\n" for step in steps))
    _, diagnostics = archspec.check(path)
    assert [d for d in diagnostics if d.severity == "error"] == []


def test_every_option_of_an_op_is_described() -> None:
    assert [(op.kind, o.name) for op in OPS.values() for o in reference_docs.options_of(op) if not o.meaning] == []


# The command line.


def cells(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """How the page's first column spells each argument of a parser."""
    found: dict[str, argparse.Action] = {}
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        several = {"+": "...", "?": "]"}.get(str(action.nargs), "")
        metavar = f"{'[' if several == ']' else ''}{action.metavar}{several}" if action.metavar else ""
        found[" ".join(filter(None, (", ".join(action.option_strings), metavar)))] = action
    return found


def command(name: str) -> argparse.ArgumentParser:
    whole = _parser([])
    (subparsers,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    return subparsers.choices[name]


def shared() -> set[str]:
    parser = argparse.ArgumentParser(add_help=False)
    spec_arguments(parser)
    return set(cells(parser))


def test_the_page_has_a_section_for_each_command_and_no_other() -> None:
    titles = re.findall(r"^## (.*)$", COMMAND_LINE, re.MULTILINE)
    assert titles == ["Naming a spec", *COMMANDS]


def test_the_options_that_commands_share_are_those_of_the_page() -> None:
    assert set(table(section(COMMAND_LINE, "Naming a spec"))) == shared()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_of_a_command_are_those_of_the_page(name: str) -> None:
    rows, found = table(section(COMMAND_LINE, name)), cells(command(name))
    found = {cell.replace("SPEC...", "SPEC"): action for cell, action in found.items()}
    takes_spec = "SPEC" in found
    assert set(rows) == set(found) - (shared() if takes_spec else set())
    for cell, text in rows.items():
        choices = set(found[cell].choices or ())
        assert choices <= set(re.findall(r"`([^`]+)`", text)), cell
        default = found[cell].default
        if choices and default is not None:
            assert f"`{default}` (default)" in text, cell
        elif found[cell].option_strings and type(default) is int:
            assert f"Default {default}." in text, cell
        assert ("Required" in text) == (found[cell].required and bool(found[cell].option_strings)), cell


# The language.


def names(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    ("title", "known"),
    [
        ("The file", network.KEYS),
        ("blocks", TYPES),
        ("Steps", form.RESERVED),
        ("heads", names(document.HeadForm)),
        ("claims", names(document.Claims)),
        ("preprocess and labels", names(document.Preprocess)),
        ("train", names(document.Recipe)),
    ],
)
def test_a_table_of_the_language_lists_exactly_the_keys_that_are_read(title: str, known: Iterable[str]) -> None:
    assert set(table(section(LANGUAGE, title))) == set(known)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("blocks", blocks.KEYS),
        ("repeat", ("times", "as", "body")),
        ("Tables", ("columns", "rows", "type", *form.RESERVED)),
        ("source", names(document.Origin)),
        ("train", names(document.Schedule)),
        ("edit", ("set", "insert_before", "insert_after", "replace", "remove")),
        ("Merges", [op.kind for op in OPS.values() if op.many]),
    ],
)
def test_a_section_of_the_language_names_every_key(title: str, words: Iterable[str]) -> None:
    text = section(LANGUAGE, title)
    assert [word for word in words if not re.search(rf"(?<![\w]){re.escape(word)}(?![\w])", text)] == []


def choices(part: Any) -> set[str]:
    """Every fixed value that a section lets through."""
    if isinstance(part, dict):
        own = {str(value) for value in part.get("enum", ()) if isinstance(value, str)}
        return own.union(*(choices(value) for value in part.values()))
    return set[str]().union(*map(choices, part)) if isinstance(part, list) else set()


def test_every_fixed_value_of_the_sections_is_named() -> None:
    values = choices(Document.model_json_schema())
    assert "he_normal" in values
    assert [value for value in sorted(values) if f"`{value}`" not in LANGUAGE and f" {value}" not in LANGUAGE] == []


def test_the_functions_of_expressions_are_those_of_the_page() -> None:
    listed = re.search(r"^\| functions \| (.*) \|$", LANGUAGE, re.MULTILINE)
    assert listed
    from archspec.spec import parse as module

    assert set(re.findall(r"`(\w+)`", listed[1])) == set(module._FUNCTIONS)
    assert parse("${ceil(2.5)}", ()) != "${ceil(2.5)}"
