"""The index of the error pages, from the pages themselves."""

from __future__ import annotations

from itertools import groupby

from archspec.diagnostics.codes import codes

_INTRO = """\
<!-- Written by `make generate`, from the headings of the pages in this folder. -->
# Errors

Every diagnostic has a code that never changes. `archspec explain AS0301` prints its page: what it
means, a spec that fails, and the same spec fixed. The first two digits name the subject.
"""

_SUBJECTS = {
    "00": "Files",
    "01": "YAML",
    "02": "Form",
    "03": "Shapes",
    "04": "Names",
    "05": "Expressions",
    "06": "Suspicious but allowed: warnings",
    "07": "Size of the network",
    "08": "Size of the model",
}


def index() -> str:
    """Return the index: every code with its title, by subject."""
    parts = [_INTRO]
    for subject, members in groupby(codes().items(), key=lambda item: item[0][2:4]):
        parts.append(f"\n## {_SUBJECTS[subject]}\n\n")
        parts += [f"- [{code}]({code}.md): {title}\n" for code, title in members]
    return "".join(parts)
