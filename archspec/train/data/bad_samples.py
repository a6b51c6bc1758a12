"""Remedies for a sample that cannot be read, for the help of its error."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from contextlib import contextmanager

from archspec.diagnostics import quote
from archspec.images import UnreadableSample


@contextmanager
def naming_remedies(data: str, skip: str) -> Generator[None]:
    """Add `skip` and the command that lists all such samples to the help of `UnreadableSample`.

    >>> with naming_remedies("photos", "`--bad-data skip` leaves it out"):
    ...     raise UnreadableSample("cannot read `cat.png`")
    Traceback (most recent call last):
    archspec.images.UnreadableSample: cannot read `cat.png`; `--bad-data skip` leaves it out; \
`archspec data check photos` lists all such samples
    """
    try:
        yield
    except UnreadableSample as error:
        check = quote(f"archspec data check {shlex.quote(data)}")
        help = [error.help, skip, f"{check} lists all such samples"]
        raise UnreadableSample(error.message, "; ".join(filter(None, help))) from error
