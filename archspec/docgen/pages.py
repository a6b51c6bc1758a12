"""Every generated file of the repository, and the content that it should have."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from archspec.backend import find
from archspec.docgen import backend_api, errors, ops, support
from archspec.frontend.schema import json_schema


def generated(root: Path) -> dict[str, str]:
    """Return the content of every generated file of a checkout, by its path there."""
    return {
        "docs/errors/index.md": errors.index(),
        "docs/reference/backend-api.md": backend_api.page(),
        "docs/reference/backends.md": support.page([find(name) for name in shipped(root)]),
        "docs/reference/ops.md": ops.page(),
        "specs/archspec.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False)
        + "\n",
    }


def shipped(root: Path) -> list[str]:
    """Return the backends that the checkout declares; others may be installed beside them."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted(project["entry-points"]["archspec.backends"])
