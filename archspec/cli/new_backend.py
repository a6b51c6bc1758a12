"""The package of a new backend, which `archspec init --backend` writes: it lowers one op.

Its tests are the conformance suite. Every other op is listed as a gap.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from archspec.backend import available
from archspec.diagnostics import Failure, UsageError, quote, reason
from archspec.ops import OPS

LOWERED = "linear"
"""The op that the package lowers."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SUFFIX = ".template"


def default_folder(name: str) -> Path:
    """Return the folder of a backend's package."""
    return Path(f"archspec-{name}")


def package_files(name: str) -> dict[str, str]:
    """Return the files of a backend's package by path, with their text.

    >>> sorted(package_files("mine"))[:2]
    ['archspec_mine/__init__.py', 'archspec_mine/gaps.py']
    """
    rows = [f'    "{kind}": "not lowered yet",' for kind in OPS if kind != LOWERED]
    texts: dict[str, str] = {}
    for template in files("archspec.cli").joinpath("backend_package").iterdir():
        file_name = template.name.removesuffix(_SUFFIX)
        folder = "" if file_name == "pyproject.toml" else f"archspec_{name}/"
        text = template.read_text("utf-8").replace("ROWS", "\n".join(rows))
        texts[f"{folder}{file_name}"] = text.replace("NAME", name)
    return texts


def write_package(name: str, folder: Path) -> None:
    """Write the package of a backend into a new folder.

    Raises `Failure` for a name that no backend can have, or if the folder exists.
    """
    if not _NAME.fullmatch(name):
        message = f"{quote(name)} cannot be the name of a backend"
        raise UsageError(message, "use small letters, digits and `_`, a letter first")
    if name in available():
        raise UsageError(f"the backend {quote(name)} is installed already", "choose another name")
    try:
        folder.mkdir(parents=True)
        for path, text in package_files(name).items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise Failure(f"{quote(folder)} is there already", "choose another folder") from None
    except OSError as error:
        raise Failure(f"cannot write {quote(folder)}: {reason(error)}") from error
