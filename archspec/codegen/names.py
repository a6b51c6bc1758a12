"""Python names for what a spec calls its things: nothing of its spelling survives but ASCII letters, digits and `_`.

>>> identifier("#3x3 reduce"), identifier("1x1"), identifier("lambda")
('n3x3_reduce', 'b1x1', 'lambda_')
>>> class_name("max pool"), class_name("GoogLeNet")
('MaxPool', 'GoogLeNet')
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Collection

# An assignment such as `name_99 = self.name_99(` stays within a line of 100 columns.
_LONGEST = 36

# What every emitted file uses by these names, and the letters that read as digits.
_FILE = (
    "Any ValueError math super range float int bool str tuple len min max l O I match case".split()
)

RESERVED = frozenset((*keyword.kwlist, *_FILE))
"""Names that no emitted file can give to something of its own."""


def identifier(text: str, reserved: Collection[str] = RESERVED, digit: str = "b") -> str:
    """A Python name; `digit` goes before one that would begin with a digit, `n` where the spec writes `#`."""
    prefix = "n" if text.startswith("#") else digit
    # Python normalises names to NFKC itself: done first, no two look-alikes can collide unseen.
    plain = re.sub(
        r"[^0-9A-Za-z]+", "_", unicodedata.normalize("NFKC", text[: 4 * _LONGEST])
    ).strip("_")
    name = (plain if plain[:1].isalpha() else f"{prefix}{plain}")[:_LONGEST].rstrip("_")
    return f"{name}_" if name in reserved else name


def class_name(text: str, reserved: Collection[str] = RESERVED) -> str:
    """The name of the class for a block, in capitals and small letters."""
    words = re.split(r"[^0-9A-Za-z]+", unicodedata.normalize("NFKC", text[: 4 * _LONGEST]))
    name = "".join(word[:1].upper() + word[1:] for word in words)
    name = (name if name[:1].isalpha() else f"Block{name}")[:_LONGEST]
    return f"{name}_" if name in reserved else name


class Namespace:
    """Names that are taken; the same name asked for again gets a number.

    >>> space = Namespace()
    >>> space.unique("conv"), space.unique("conv")
    ('conv', 'conv_2')
    """

    def __init__(self, *taken: str) -> None:
        self.taken = set(taken)

    def unique(self, name: str, join: str = "_") -> str:
        found, count = name, 1
        while found in self.taken:
            count += 1
            found = f"{name.rstrip('_')}{join}{count}"
        self.taken.add(found)
        return found
