"""Codes of diagnostics. Each has a page in `docs/errors/`, whose heading is the code's title.

>>> codes()["AS0306"]
'linear on an unflattened input'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


@cache
def codes() -> Mapping[str, str]:
    """Return the title of every code, by code, as the pages state it."""
    pages = sorted(_folder().glob("AS[0-9]*.md"))
    return {page.stem: _title(page) for page in pages}


def page(code: str) -> str:
    """Return the page of a code in Markdown: its meaning, a spec that fails and a fixed one.

    Comments, which are for the tests, are left out.
    """
    return _COMMENT.sub("", (_folder() / f"{code}.md").read_text(encoding="utf-8"))


def _folder() -> Path:
    package = Path(__file__).parents[1]
    installed = package / "errors"  # a wheel has the pages inside the package
    return installed if installed.is_dir() else package.parent / "docs" / "errors"


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().strip().partition(": ")[2]
