"""Python names for the names of a spec: ASCII letters, digits and `_` are all that remains of them.

>>> identifier("#3x3 reduce"), identifier("1x1"), identifier("lambda")
('n3x3_reduce', 'b1x1', 'lambda_')
>>> class_name("max pool"), class_name("res-net")
('MaxPool', 'ResNet')
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Collection

# An assignment such as `name_99 = self.name_99(` stays within a line of 100 columns.
MAX_LENGTH = 36

# Names that every emitted file uses, soft keywords, and letters that read as digits.
_FILE = (
    "Any ValueError math super range float int bool str tuple len min max l O I match case".split()
)

RESERVED = frozenset((*keyword.kwlist, *_FILE))
"""Names that no emitted file can give to something of its own."""


def identifier(text: str, reserved: Collection[str] = RESERVED, digit: str = "b") -> str:
    """Return a Python name.

    `digit` goes before a leading digit, or `n` if the spec writes `#` there.
    """
    prefix = "n" if text.startswith("#") else digit
    ascii_text = re.sub(r"[^0-9A-Za-z]+", "_", _normalized(text)).strip("_")
    if not ascii_text[:1].isalpha():
        ascii_text = f"{prefix}{ascii_text}"
    name = ascii_text[:MAX_LENGTH].rstrip("_")
    return f"{name}_" if name in reserved else name


def class_name(text: str, reserved: Collection[str] = RESERVED) -> str:
    """Return the name of a block's class, in CapWords."""
    words = re.split(r"[^0-9A-Za-z]+", _normalized(text))
    name = "".join(word[:1].upper() + word[1:] for word in words)
    if not name[:1].isalpha():
        name = f"Block{name}"
    name = name[:MAX_LENGTH]
    return f"{name}_" if name in reserved else name


def _normalized(text: str) -> str:
    """Return the start of a text as Python normalises names (NFKC).

    Python would do so by itself: done first, no two look-alikes can collide unseen.
    """
    return unicodedata.normalize("NFKC", text[: 4 * MAX_LENGTH])


class Namespace:
    """A set of names in use; a name that is asked for again gets a number.

    >>> namespace = Namespace()
    >>> namespace.unique("conv"), namespace.unique("conv")
    ('conv', 'conv_2')
    """

    def __init__(self, *taken: str) -> None:
        self.taken = set(taken)

    def unique(self, name: str, number_prefix: str = "_") -> str:
        """Return the name, with a number after `number_prefix` if it is taken; take it."""
        candidate = name
        count = 1
        while candidate in self.taken:
            count += 1
            candidate = f"{name.rstrip('_')}{number_prefix}{count}"
        self.taken.add(candidate)
        return candidate
