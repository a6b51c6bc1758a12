"""The layout of emitted statements: whatever is written, a formatter finds nothing to change."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from archspec.codegen.printer import (
    BinOp,
    Call,
    CallResult,
    Code,
    List,
    Starred,
    function_header,
    one_line,
    statement,
)
from tests.helpers.effort import examples

NAMES = st.integers(1, 45).map(lambda n: "name_" + "x" * n)
ATOMS: st.SearchStrategy[Code] = NAMES | st.sampled_from(("1", "kernel // 2", '"nearest"'))


def codes(inner: st.SearchStrategy[Code]) -> st.SearchStrategy[Code]:
    keywords = st.lists(st.tuples(st.just(""), inner), max_size=3).flatmap(
        lambda positional: st.lists(inner, max_size=3).map(
            lambda values: (*positional, *((f"key_{n}", value) for n, value in enumerate(values)))
        )
    )
    calls = st.builds(Call, NAMES, keywords)
    loops = st.builds(
        Starred, calls, st.just("i"), st.sampled_from(("range(3)", "range(1, layers)"))
    )
    return st.one_of(
        calls,
        st.builds(lambda a, loop: Call("nn.Sequential", (("", a), ("", loop))), calls, loops),
        st.builds(CallResult, st.builds(Call, NAMES, keywords), NAMES),
        st.builds(
            lambda items: Call("torch.cat", (("", List(tuple(items))), ("dim", "1"))),
            st.lists(inner, min_size=1, max_size=6),
        ),
    )  # fmt: skip


SUMS = st.builds(
    lambda operator, parts: BinOp(operator, tuple(parts)),
    st.sampled_from("+*"),
    st.lists(NAMES | st.builds(Call, NAMES), min_size=2, max_size=6),
)
CODES = st.recursive(ATOMS | SUMS, codes, max_leaves=12)


@examples(5)
@given(st.lists(st.tuples(CODES, st.booleans()), min_size=30, max_size=60))
def test_a_formatter_leaves_statements_as_they_are(drawn: list[tuple[Code, bool]]) -> None:
    lines = ["def function(self):"]
    for number, (code, returned) in enumerate(drawn):
        start = (
            "return " if returned and number == len(drawn) - 1 else f"self.attribute_{number} = "
        )
        lines += statement(start, code, 4)
    text = "\n".join([*lines, ""])
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "100", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == text


@given(CODES)
def test_lines_say_what_the_one_line_says(code: Code) -> None:
    wide, one = "\n".join(statement("name = ", code, 0)), f"name = {one_line(code)}"
    assert ast.dump(ast.parse(wide)) == ast.dump(ast.parse(one))


def test_signatures_break_as_a_formatter_breaks_them(tmp_path: Path) -> None:
    text = ""
    for count in range(1, 40):
        parameters = ["self", *(f"parameter_{n}: int" for n in range(count))]
        text += "\n".join(
            [
                f"class Name{count}:",
                *function_header("def __init__", parameters, " -> None:", 4),
                "        pass",
                "",
                "",
                "",
            ]
        )
    path = tmp_path / "signatures.py"
    path.write_text(text.rstrip() + "\n")
    command = [
        sys.executable,
        "-m",
        "ruff",
        "format",
        "--isolated",
        "--line-length",
        "100",
        "--check",
        str(path),
    ]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
