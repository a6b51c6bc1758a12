"""Pages of `docs/errors/`: a title, a failing spec and a mended one, each held against the checker.

A page opens with `# AS0301: its title`, and has one block `yaml fail` and then one `yaml good`, both complete specs.
Other files that these need stand in blocks below `<!-- file: base.yaml -->`. Comments above the two blocks:

    <!-- args: --set width=0 -->     options of the command
    <!-- command: build -->          the command that finds it, where it is not `check`
    <!-- encoding: latin-1 -->       written in that encoding
    <!-- pad: 2000000 -->            comments are added until it has that many bytes
    <!-- path: missing.yaml -->      that path is given to the command, not the block's own file
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
FOUND = re.compile(r"^(error|warning)\[(AS\d{4})\]", re.MULTILINE)


def check_page(text: str, code: str, title: str, folder: Path, main: Main) -> None:
    """Raises `PageError` unless the failing spec yields that code alone, the mended one neither it nor any error."""
    if not text.startswith(f"# {code}: {title}\n"):
        raise PageError(
            f"{code}: the page opens with {text.partition(chr(10))[0]!r}, not '# {code}: {title}'"
        )
    found = list(blocks(text, f"{code}.md"))
    for block in found:
        if block.all("file"):
            write(block, folder)
    marked = [block for block in found if block.info[1:] in (("fail",), ("good",))]
    if [block.info for block in marked] != [("yaml", "fail"), ("yaml", "good")]:
        raise PageError(f"{code}: the page needs one block `yaml fail` and then one `yaml good`")
    fail, good = marked
    seen = diagnose(fail, folder, main)
    if {name for _, name in seen} != {code}:
        raise fail.wrong(f"the failing spec yields {seen or 'nothing'}, not {code} alone")
    mended = diagnose(good, folder, main)
    if any(severity == "error" or name == code for severity, name in mended):
        raise good.wrong(f"the mended spec yields {mended}")


def diagnose(block: Block, folder: Path, main: Main) -> list[tuple[str, str]]:
    """Severity and code of everything that the command says of a block."""
    spec = write(block, folder, block.one("file", f"{block.info[1]}.yaml"))
    command = block.one("command", "check").split()
    arguments = [*command, block.one("path", spec.name), *shlex.split(block.one("args"))]
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        code = main(arguments)
    said = out.getvalue() + err.getvalue()
    seen = FOUND.findall(said)
    if (code == 1) != any(severity == "error" for severity, _ in seen) or code not in (0, 1):
        raise block.wrong(f"`archspec {' '.join(arguments)}` ends with {code} and says\n{said}")
    return seen
