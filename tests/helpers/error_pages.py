"""Pages of `docs/errors/`: a title, a spec that fails and a fixed one, each run through the
checker.

A page opens with `# AS0301: its title`, and has one block `yaml title="fails"` and then one `yaml
title="fixed"`, both complete specs. A title is what the site shows above a block; GitHub and the
terminal show it beside the fence. Other files that the specs need stand in blocks below `<!--
file: base.yaml -->`. Comments above the two blocks:

    <!-- args: --set width=0 -->     options of the command
    <!-- command: build -->          the command that finds the error, where it is not `check`
    <!-- encoding: latin-1 -->       the encoding that the spec is written in
    <!-- pad: 2000000 -->            comments are added until the file has that many bytes
    <!-- path: missing.yaml -->      the path given to the command, instead of the block's own file
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.helpers.markdown import Block, PageError, blocks, write

Main = Callable[[Sequence[str]], int]
DIAGNOSTIC = re.compile(r"^(error|warning|note)\[(AS\d{4})\]", re.MULTILINE)
TITLES = ("fails", "fixed")


def spec_blocks(page: Sequence[Block], name: str) -> tuple[Block, Block]:
    """Return a page's failing and fixed spec; raise `PageError` unless it has exactly these two."""
    specs = [block for block in page if block.title in TITLES]
    if [(block.language, block.title) for block in specs] != [("yaml", title) for title in TITLES]:
        raise PageError(
            f'{name}: the page needs one block `yaml title="fails"`, then one `yaml title="fixed"`'
        )
    fails, fixed = specs
    return fails, fixed


def check_page(text: str, code: str, title: str, folder: Path, main: Main) -> None:
    """Raise `PageError` unless the failing spec yields that code alone and the fixed one is fine.

    The fixed spec may yield warnings of other codes.
    """
    if not text.startswith(f"# {code}: {title}\n"):
        first_line = text.partition("\n")[0]
        raise PageError(f"{code}: the page opens with {first_line!r}, not '# {code}: {title}'")
    page = list(blocks(text, f"{code}.md"))
    for block in page:
        if block.all("file"):
            write(block, folder)
    fails, fixed = spec_blocks(page, code)
    diagnostics = diagnose(fails, folder, main)
    if {name for _, name in diagnostics} != {code}:
        raise fails.wrong(f"the failing spec yields {diagnostics or 'nothing'}, not {code} alone")
    diagnostics = diagnose(fixed, folder, main)
    if any(severity == "error" or name == code for severity, name in diagnostics):
        raise fixed.wrong(f"the fixed spec yields {diagnostics}")


def diagnose(block: Block, folder: Path, main: Main) -> list[tuple[str, str]]:
    """Return severity and code of every diagnostic that the command prints for a block."""
    spec = write(block, folder, block.one("file", f"{block.title}.yaml"))
    command = block.one("command", "check").split()
    arguments = [*command, block.one("path", spec.name), *shlex.split(block.one("args"))]
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        code = main(arguments)
    printed = out.getvalue() + err.getvalue()
    diagnostics = DIAGNOSTIC.findall(printed)
    has_error = any(severity == "error" for severity, _ in diagnostics)
    if (code == 1) != has_error or code not in (0, 1):
        raise block.wrong(f"`archspec {' '.join(arguments)}` ends with {code}:\n{printed}")
    return diagnostics
