"""A failing property as its reader needs it: the YAML first, then what differs, no frames.

>>> print(SpecFailure("archspec: 1\\n", "mine, eval: outputs first differ at main", "seed 0"))
this spec, with seed 0:
<BLANKLINE>
archspec: 1
<BLANKLINE>
mine, eval: outputs first differ at main
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest


class SpecFailure(AssertionError):
    """A spec on which a backend under test is wrong, and how."""

    def __init__(
        self, text: str, difference: str, inputs: str = "", title: str = "this spec"
    ) -> None:
        beside = f", with {inputs}" if inputs else ""
        super().__init__(f"{title}{beside}:\n\n{text.rstrip()}\n\n{difference}")


@contextmanager
def spec_first() -> Generator[None]:
    """Fail by the message of a `SpecFailure` alone.

    The traceback would lead through hypothesis and the framework, which say nothing of the spec.
    """
    try:
        yield
    except SpecFailure as error:
        pytest.fail(str(error), pytrace=False)
