"""Fenced code blocks of Markdown pages: found, written to files, run, and compared with what the
page says.

A block is run (`python`, `bash`, `console`), written (any language below a `file:` comment) or
excused (`not run:`):

    <!-- file: net.yaml -->      the block below is written to that file of the page's folder
    <!-- expect: text -->        what it prints contains this text
    <!-- exit: 1 -->             the bash or console block ends with this code; 0 where none is stated
    <!-- not run: reason -->     it is only read

The blocks of a page run in order, in one folder; its python blocks share one namespace. In a
`console` block, lines that start with `$ ` are commands and the others what they print, `...`
standing for any lines.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FENCE = re.compile(r"(?P<indent> *)(?P<ticks>`{3,}|~{3,}) *(?P<info>.*?) *")
COMMENT = re.compile(r"\s*<!-- *(?P<key>[a-z ]+): *(?P<value>.*?) *-->\s*")
KEYS = frozenset(
    {"file", "expect", "exit", "not run", "args", "encoding", "pad", "path", "command"}
)


class PageError(AssertionError):
    """A page says what is not so, or a block that nothing runs."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its words after the fence, its text, and the comments right above it."""

    page: str
    line: int
    info: tuple[str, ...]
    body: str
    comments: tuple[tuple[str, str], ...] = ()

    @property
    def language(self) -> str:
        return self.info[0] if self.info else ""

    @property
    def title(self) -> str:
        """The `title="..."` after the fence, which the site shows above the block."""
        titles = [re.fullmatch(r'title="(.*)"', word) for word in self.info[1:]]
        return next((title[1] for title in titles if title), "")

    def all(self, key: str) -> list[str]:
        return [value for name, value in self.comments if name == key]

    def one(self, key: str, default: str = "") -> str:
        values = self.all(key)
        if len(values) > 1:
            raise self.wrong(f"{key!r} is stated twice")
        return values[0] if values else default

    def wrong(self, message: str) -> PageError:
        return PageError(f"{self.page}:{self.line}: {message}")


def blocks(text: str, page: str = "page") -> Iterator[Block]:
    """The fenced blocks of a page, in order; raises `PageError` for an open fence or an unknown
    comment.
    """
    comments: list[tuple[str, str]] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if comment := COMMENT.fullmatch(line):
            if comment["key"] not in KEYS:
                raise PageError(
                    f"{page}:{number}: unknown comment {comment['key']!r}; known: {', '.join(sorted(KEYS))}"
                )
            comments.append((comment["key"], comment["value"]))
        elif fence := FENCE.fullmatch(line):
            body: list[str] = []
            closing = re.compile(rf" *{fence['ticks'][0]}{{{len(fence['ticks'])},}} *")
            for _, inner in lines:
                if closing.fullmatch(inner):
                    break
                body.append(inner.removeprefix(fence["indent"]))
            else:
                raise PageError(f"{page}:{number}: the fence does not close")
            yield Block(
                page, number, tuple(fence["info"].split()), "\n".join((*body, "")), tuple(comments)
            )
            comments = []
        elif line.strip() and comments:
            raise PageError(f"{page}:{number}: a comment {comments[-1][0]!r} stands above no block")
    if comments:
        raise PageError(f"{page}: a comment {comments[-1][0]!r} stands above no block")


def run_page(text: str, folder: Path, page: str = "page", scripts: Path | None = None) -> int:
    """Run every block of a page in `folder`, the current one, and return how many there are.

    Commands are looked for in `scripts` first. Raises `PageError`.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    found = list(blocks(text, page))
    for block in found:
        if block.all("not run"):
            if not block.one("not run"):
                raise block.wrong("`not run` needs a reason")
        elif block.all("file"):
            write(block, folder)
        elif block.language == "python":
            run_python(block, namespace)
        elif block.language == "bash":
            _finish(block, *run_command(block.body, folder, scripts))
        elif block.language == "console":
            run_console(block, folder, scripts)
        else:
            raise block.wrong(
                f"a block of {block.language or 'no language'} is neither run nor written nor excused"
            )
    return len(found)


def write(block: Block, folder: Path, name: str = "") -> Path:
    """Writes a block to the file that it names, `pad` bytes long at least where the page says
    so.
    """
    path = folder / (name or block.one("file"))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise block.wrong(f"{path} lies outside the page's folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    data = block.body.encode(block.one("encoding", "utf-8"))
    missing = int(block.one("pad", "0")) - len(data)
    path.write_bytes(data + b"# padded\n" * (missing // 9 + 1) if missing > 0 else data)
    return path


def run_python(block: Block, namespace: dict[str, Any]) -> None:
    """Runs a python block, as a test: what it raises fails the page."""
    printed = io.StringIO()
    code = compile("\n" * block.line + block.body, block.page, "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    _finish(block, 0, printed.getvalue())


def run_command(command: str, folder: Path, scripts: Path | None = None) -> tuple[int, str]:
    """Exit code and output of a bash text, with this interpreter's scripts first on the path."""
    path = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if scripts is not None:
        path.insert(0, str(scripts))
    env = os.environ | {
        "PATH": os.pathsep.join(path),
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",  # both streams in the order of what is printed
        "COLUMNS": "100",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


def run_console(block: Block, folder: Path, scripts: Path | None = None) -> None:
    """Run each `$ ` line of a console block and compare what it prints with the lines below it."""
    parts = re.split(r"^\$ (.*)\n", block.body, flags=re.MULTILINE)
    if parts[0].strip() or len(parts) < 3:
        raise block.wrong("a console block starts with a `$ ` line")
    everything, code = "", 0
    for command, shown in zip(parts[1::2], parts[2::2], strict=True):
        code, printed = run_command(command, folder, scripts)
        everything += printed
        if shown.strip() and not matches(printed, shown):
            found = textwrap.indent(printed, "    ")
            raise block.wrong(f"`{command}` does not print what the page shows, but\n{found}")
        if code and not block.all("exit"):
            raise block.wrong(f"`{command}` ended with {code}:\n{printed}")
    _finish(block, code, everything)


def matches(printed: str, shown: str) -> bool:
    """Tell whether a page shows what was printed; a line `...` stands for any lines."""
    lines = [line.rstrip() for line in shown.strip("\n").splitlines()]
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line) + r"\n" for line in lines
    )
    text = "".join(line.rstrip() + "\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, text) is not None


def _finish(block: Block, code: int, printed: str) -> None:
    """Holds a run against the block's `exit` and `expect` comments."""
    if code != int(block.one("exit", "0")):
        raise block.wrong(f"ended with {code}, not {block.one('exit', '0')}:\n{printed}")
    for text in block.all("expect"):
        if not text or text not in printed:
            raise block.wrong(f"does not print {text!r}, but\n{printed}")
