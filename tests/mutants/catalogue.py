"""The entries: one `.toml` file a room, one table `[[mutant]]` an entry.

[[mutant]]
name = "conv counts its MACs without the groups"
file = "archspec/ops/conv.py"
old = "// self.groups"        # occurs once in the file
new = ""
tests = ["tests/unit/ops/test_conv.py"]
why = "grouped convolutions would cost as much as dense ones"
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


class MutantError(Exception):
    """An entry that cannot be read, or that no longer fits the code."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """Replaces `old` by `new` in `file`; at least one of `tests` has to fail for it."""

    room: str
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return f"{self.room}: {self.name}"

    def mutated(self, root: Path) -> str:
        """Return the file's text with the mistake in it. Raise `MutantError` if it does not fit."""
        path = root / self.file
        if not path.is_file():
            raise MutantError(f"{self}: there is no {self.file}")
        text = path.read_text(encoding="utf-8")
        count = text.count(self.old)
        if count != 1:
            raise MutantError(f"{self}: `old` occurs {count} times in {self.file}, expected once")
        for test in self.tests:
            if not (root / test.partition("::")[0]).exists():
                raise MutantError(f"{self}: there is no {test}")
        return text.replace(self.old, self.new)


def read_mutants(folder: Path = FOLDER, names: Sequence[str] = ()) -> list[Mutant]:
    """Return the entries whose `room: name` holds one of the names, or all without names."""
    mutants = [
        _entry(path.stem, table)
        for path in sorted(folder.glob("*.toml"))
        for table in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    ]
    titles = [str(mutant) for mutant in mutants]
    if len(titles) != len(set(titles)):
        twice = sorted({title for title in titles if titles.count(title) > 1})
        raise MutantError(f"two entries have one name: {', '.join(twice)}")
    if not names:
        return mutants
    return [mutant for mutant in mutants if any(name in str(mutant) for name in names)]


def _entry(room: str, table: dict[str, Any]) -> Mutant:
    expected = {field.name for field in fields(Mutant)} - {"room"}
    if set(table) != expected:
        raise MutantError(
            f"{room}: an entry has the keys {sorted(table)}, expected {sorted(expected)}"
        )
    tests = tuple(table.pop("tests"))
    return Mutant(room=room, tests=tests, **table)
