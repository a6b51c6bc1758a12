"""The reference pages say what the code says: generated ones are current, written ones complete both ways."""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

import archspec
from archspec import backend
from archspec.analysis.stats import Stats
from archspec.backend import Backend, TensorLayout
from archspec.cli import COMMANDS, _parser
from archspec.cli.common import add_spec_arguments
from archspec.diagnostics import Report, Source
from archspec.docgen import ops as op_docs
from archspec.docgen.declarations import members
from archspec.docgen.pages import generated
from archspec.frontend import (
    argument_parser,
    arguments,
    blocks,
    expr_parser,
    files,
    frame,
    graph_builder,
    network,
    overrides,
    step_keys,
)
from archspec.frontend import yaml as reader
from archspec.frontend.schema import json_schema
from archspec.frontend.tree import to_python
from archspec.ir import document, expr, recipe
from archspec.ir.document import Document
from archspec.ir.types import parse_size
from archspec.ops import OPS
from tests.helpers.markdown import Block
from tests.helpers.markdown import blocks as fenced

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
REFERENCE = ROOT / "docs" / "reference"
LANGUAGE, COMMAND_LINE, PYTHON = (
    (REFERENCE / f"{name}.md").read_text() for name in ("language", "command-line", "python")
)


def section(page: str, title: str) -> str:
    """What stands below a heading, up to the next heading that is as high."""
    found = re.search(
        rf"^(##+) {re.escape(title)}\n(.*?)(?=^##? |\Z)", page, re.MULTILINE | re.DOTALL
    )
    assert found, f"no heading {title!r}"
    return found[2]


def table(text: str) -> dict[str, str]:
    """The rows of the first table: each code of the first column, and what stands beside it."""
    found = re.search(r"^\|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, "no table"
    rows = (line.strip("|\n").split("|", 1) for line in found[1].splitlines())
    return {name: rest for first, rest in rows for name in re.findall(r"`([^`]+)`", first)}


# Generated files.


GENERATED = generated(ROOT)


@pytest.mark.parametrize("path", GENERATED)
def test_a_generated_file_is_what_the_code_says(path: str) -> None:
    assert (ROOT / path).read_text() == GENERATED[path], "run `make generate`"


def test_the_pages_that_say_so_are_those_that_are_generated() -> None:
    """The schema, which is no page, says nothing."""
    marked = {
        page.relative_to(ROOT).as_posix()
        for page in (ROOT / "docs").rglob("*.md")
        if page.read_text().startswith("<!-- Written by ")
    }
    assert marked == {path for path in GENERATED if path.endswith(".md")}


def test_every_value_of_the_backend_package_has_a_section() -> None:
    titles = re.findall(r"^### (.*)$", GENERATED["docs/reference/backend-api.md"], re.MULTILINE)
    public = {name: getattr(backend, name) for name in backend.__all__}
    values = {name for name, value in public.items() if isinstance(value, type)}
    errors = {name for name in values if issubclass(public[name], Exception)}
    assert "Backend" in values
    assert values - errors <= set(titles)


def test_members_are_listed_with_defaults_and_their_text() -> None:
    fields = {member.name: member for member in members(Backend)}
    assert fields["gaps"].signature == "gaps: Mapping[str, Gap]"
    assert fields["options"].signature == "options: Mapping[str, BuildOption] = {}"
    methods = {member.name: member for member in members(TensorLayout)}
    assert methods["from_portable"].is_method
    assert methods["from_portable"].signature.endswith(": Array) -> Array")
    assert methods["axes"].doc


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.kind)
def test_the_example_of_an_op_does_what_the_page_says(op: Any, tmp_path: Path) -> None:
    """Each input is made from one value by a linear layer and a reshape; `output` then checks the page."""
    example = op_docs.example_of(op)
    shapes = [[*parse_size(shape)] for shape in example.before.split(" and ")]
    steps: list[str] = []
    for i, shape in enumerate(shapes):
        steps.append(f"- {{name: flat{i}, from: input, linear: {{out: {math.prod(shape)}}}}}\n")
        steps.append(f"- {{name: in{i}, reshape: {{to: {shape}}}}}\n")
    names = [f"in{i}" for i in range(len(shapes))]
    words = example.step if ":" in example.step else f"{example.step}: "
    steps.append(
        f"- {{{words}, from: {names if op.variadic else names[0]}, output: {[*parse_size(example.after)]}}}\n"
    )
    path = tmp_path / "net.yaml"
    path.write_text(
        "archspec: 1\ninput: [1]\nheads: {main: {loss: none}}\nnetwork:\n" + "".join(steps)
    )
    assert archspec.check(path)[1] == ()


def test_every_option_of_every_op_is_described() -> None:
    options = [(op.kind, option) for op in OPS.values() for option in op_docs.options_of(op)]
    assert [
        (kind, o.name) for kind, o in options if not (o.meaning and o.takes and o.default)
    ] == []


# The schema.


def test_the_table_of_step_keys_says_what_the_declarations_say() -> None:
    rows = table(section(LANGUAGE, "Steps"))
    plain = {name: re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", row) for name, row in rows.items()}
    assert {name: row.strip("| ") for name, row in plain.items()} == {
        key.name: key.description for key in step_keys.STEP_KEYS
    }


def faults(text: str) -> list[str]:
    """What an editor underlines."""
    tree = reader.parse_yaml(Source("net.yaml", text), Report())
    assert tree
    validator = jsonschema.Draft202012Validator(json_schema())
    return [
        f"{[*error.path]}: {error.message[:200]}"
        for error in validator.iter_errors(to_python(tree))
    ]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_an_editor_finds_no_fault_in_a_shipped_spec(path: Path) -> None:
    assert path.read_text().startswith("# yaml-language-server: $schema=archspec.schema.json\n")
    assert faults(path.read_text()) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("stride: 2", "strid: 2"),
        ("out: 8", "out: 0"),
        ("rounding: ceil", "rounding: up"),
        ("loss: mse", "loss: mze"),
    ],
)
def test_an_editor_finds_what_cannot_be_right(right: str, wrong: str) -> None:
    text = (
        "archspec: 1\ninput: [3, 8, 8]\nheads: {main: {loss: mse}}\nnetwork:\n"
        "  - conv: {out: 8, kernel: 3, stride: 2}\n  - max_pool: {kernel: 2, rounding: ceil}\n"
    )
    assert faults(text) == []
    assert faults(text.replace(right, wrong)) != []


def written() -> Iterator[Block]:
    """The files that the pages write, but for the pages of errors."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        if page.relative_to(ROOT / "docs").parts[0] not in ("errors", "decisions"):
            yield from (block for block in fenced(page.read_text(), page.name) if block.all("file"))


def test_an_editor_finds_no_fault_in_the_specs_of_the_pages() -> None:
    specs = [block for block in written() if block.body.startswith("archspec: ")]
    assert len(specs) > 20
    bad = {
        f"{b.page}:{b.line}": found
        for b in specs
        if "lineer" not in b.body and (found := faults(b.body))
    }
    assert bad == {}


def test_a_file_of_a_page_shows_its_name_to_readers() -> None:
    assert [
        f"{b.page}:{b.line}" for b in written() if f'title="{b.one("file")}"' not in b.info
    ] == []


# The command line.


def cells(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """How the page's first column spells each argument of a parser."""
    found: dict[str, argparse.Action] = {}
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            metavar = str(action.metavar or "")
            named = {"+": f"{metavar}...", "?": f"[{metavar}]"}.get(str(action.nargs), metavar)
            found[" ".join(filter(None, (", ".join(action.option_strings), named)))] = action
    return found


def shared() -> set[str]:
    parser = argparse.ArgumentParser(add_help=False)
    add_spec_arguments(parser)
    return set(cells(parser))


def test_the_page_has_a_section_for_each_command_and_no_other() -> None:
    assert re.findall(r"^## (.*)$", COMMAND_LINE, re.MULTILINE) == ["Naming a spec", *COMMANDS]


def test_the_options_that_commands_share_are_those_of_the_page() -> None:
    assert set(table(section(COMMAND_LINE, "Naming a spec"))) == shared()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_of_a_command_are_those_of_the_page(name: str) -> None:
    (subparsers,) = (a for a in _parser([])._actions if isinstance(a, argparse._SubParsersAction))
    found = {
        cell.replace("SPEC...", "SPEC"): action
        for cell, action in cells(subparsers.choices[name]).items()
    }
    rows = table(section(COMMAND_LINE, name))
    assert set(rows) == set(found) - (shared() if "SPEC" in found else set())
    for cell, text in rows.items():
        action = found[cell]
        assert set(action.choices or ()) <= set(re.findall(r"`([^`]+)`", text)), cell
        if action.choices and action.default is not None:
            assert f"`{action.default}` (default)" in text, cell
        elif action.option_strings and type(action.default) is int:
            assert f"Default {action.default}." in text, cell
        assert ("Required" in text) == bool(action.required and action.option_strings), cell


def actions() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands within commands, by both names."""
    (commands,) = (a for a in _parser([])._actions if isinstance(a, argparse._SubParsersAction))
    for name, parser in commands.choices.items():
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                yield from ((f"{name} {inner}", choice) for inner, choice in action.choices.items())


@pytest.mark.parametrize(
    ("title", "parser"), [pytest.param(*pair, id=pair[0]) for pair in actions()]
)
def test_the_options_of_an_action_are_those_of_the_page(
    title: str, parser: argparse.ArgumentParser
) -> None:
    rows, found = table(section(COMMAND_LINE, title)), set(cells(parser))
    above = section(COMMAND_LINE, title.split()[0])
    common = {
        name
        for part in re.split(r"^### ", above, flags=re.MULTILINE)[:1]
        for name in re.findall(r"^\| `([^`]+)`", part, re.MULTILINE)
    }
    assert set(rows) <= found
    assert found - set(rows) <= common | shared()


# The language.


def keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    ("title", "known"),
    [
        ("The file", network.SPEC_KEYS),
        ("blocks", arguments.TYPES),
        ("Steps", step_keys.RESERVED_KEYS),
        ("heads", keys(document.HeadSection)),
        ("claims", keys(document.Claims)),
        ("preprocess and labels", keys(document.Preprocess)),
        ("train", keys(recipe.Recipe)),
        ("edit", overrides.EDIT_KINDS),
    ],
)
def test_a_table_of_the_language_lists_exactly_what_is_read(
    title: str, known: Iterable[str]
) -> None:
    assert set(table(section(LANGUAGE, title))) == set(known)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("blocks", blocks.BLOCK_KEYS),
        ("repeat", ("times", "as", "body")),
        ("Tables", ("columns", "rows", "type", *step_keys.RESERVED_KEYS)),
        ("source", keys(document.Origin)),
        ("train", (*keys(recipe.Schedule), *keys(recipe.Augment))),
        ("in", {name for rank in expr._AXES.values() for name in rank} | {"rank"}),
        ("Merges", [op.kind for op in OPS.values() if op.variadic]),
    ],
)
def test_a_section_of_the_language_names_every_key(title: str, words: Iterable[str]) -> None:
    codes = " ".join(re.findall(r"`[^`\n]+`", section(LANGUAGE, title)))
    assert [
        word for word in words if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", codes)
    ] == []


def fixed(part: Any) -> set[str]:
    """Every value that a section takes by name."""
    if isinstance(part, dict):
        own = {
            value for value in (*part.get("enum", ()), part.get("const")) if isinstance(value, str)
        }
        return own.union(*(fixed(value) for value in part.values()))
    return set[str]().union(*map(fixed, part)) if isinstance(part, list) else set()


def test_every_value_that_a_section_takes_by_name_is_there() -> None:
    values = fixed(Document.model_json_schema())
    assert {"he_normal", "train", "bicubic", "cosine"} <= values
    codes = set(re.findall(r"[\w]+", " ".join(re.findall(r"`[^`\n]+`", LANGUAGE))))
    assert values - codes == set()


def test_the_functions_of_expressions_are_those_of_the_page() -> None:
    (listed,) = re.findall(r"^\| functions \| (.*) \|$", LANGUAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", listed)) == set(expr_parser._FUNCTIONS)


def test_the_limits_are_those_of_the_page() -> None:
    limits = [
        f"{reader.MAX_BYTES // 2**20} MiB",
        f"{reader.MAX_VALUES:,}",
        f"{reader.MAX_DEPTH}",
        f"{arguments.MAX_ARGUMENTS}, of {arguments.MAX_NAME} characters",
        f"{expr_parser._MAX_LENGTH:,} characters, {expr_parser._MAX_OPERATORS} operators, nested {expr_parser._MAX_DEPTH} deep",
        f"{argument_parser.MAX_EXPRESSIONS:,} characters",
        f"{expr.MAX_TEXT:,} characters",
        "2^62",
        f"{files.MAX_EXTENDS}",
        f"{overrides.MAX_EDIT_WORK:,}",
        f"{frame.MAX_NESTING}",
        f"{graph_builder.MAX_WORK:,}",
        f"{graph_builder.MAX_LAYERS:,}",
    ]
    assert [
        row.split("|")[2].strip()
        for row in section(LANGUAGE, "Limits").splitlines()
        if row.startswith("|")
    ][2:] == limits


# Python.


def test_the_page_has_a_section_for_each_public_name_and_no_other() -> None:
    titles = re.findall(r"^## (.*)$", PYTHON, re.MULTILINE)
    assert {title.strip("`") for title in titles} == set(archspec.__all__)


def public_names(cls: type) -> set[str]:
    """The fields, properties and methods that a reader may use."""
    own = {name for name in vars(cls) if not name.startswith("_")}
    return own | {field.name for field in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("title", "cls"),
    [
        ("Spec", archspec.Spec),
        ("stats", Stats),
        ("Diagnostic", archspec.Diagnostic),
        ("Backend", archspec.Backend),
    ],
)
def test_the_attributes_of_a_value_are_those_of_the_page(title: str, cls: type) -> None:
    assert {name.partition("(")[0] for name in table(section(PYTHON, title))} == public_names(cls)
