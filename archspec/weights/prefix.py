"""A prefix that every name in a file has: wrappers of a model put one before its own names.

>>> [choice.prefix for choice in renamings(["net.conv1.weight", "net.conv2.weight"])]
['net.']
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from archspec.backend import FileTensors
from archspec.diagnostics import UsageError, did_you_mean, quote

WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""The names under which DataParallel, torch.compile, FSDP and checkpointing keep a model."""
MAX_PREFIXES = 32
"""The most prefixes that are tried: a name can have a dot at every other letter."""
_WRAPPED = re.compile(rf"(?<![^.])(?:{'|'.join(WRAPPERS)})\.")


@dataclass(frozen=True)
class StrippedNames:
    """A file's names, each with the one that it has without a prefix."""

    prefix: str
    names: Mapping[str, str]
    note: str

    def applied(self, tensors: FileTensors) -> FileTensors:
        """Return a file's tensors under the names without the prefix."""
        return {self.names.get(name, name): tensor for name, tensor in tensors.items()}


def renamings(names: Sequence[str]) -> Iterator[StrippedNames]:
    """Yield the names without each prefix that all of them have, the shortest first; last, without
    the wrappers that stand within them."""
    # In the order of the alphabet, what the first and the last share is shared by all.
    first, last = min(names, default=""), max(names, default="")
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    common = "".join(letter for letter, _ in same)
    for end in itertools.islice(re.finditer(r"[./]", common), MAX_PREFIXES):
        prefix = common[: end.end()]
        note = f"every name in the file begins with {quote(prefix)}"
        yield StrippedNames(prefix, {name: name.removeprefix(prefix) for name in names}, note)
    prefixes = dict.fromkeys(word for name in names for word in _WRAPPED.findall(name))
    bare = {name: _WRAPPED.sub("", name) for name in names}
    if prefixes and len(set(bare.values())) == len(bare):
        words = " and ".join(quote(word) for word in prefixes)
        yield StrippedNames(
            "", bare, f"names in the file hold {words}, as those of a wrapped model do"
        )


def under_prefix(tensors: FileTensors, prefix: str) -> FileTensors:
    """Return the tensors whose names begin so, without the prefix; raise `UsageError` if there
    are none."""
    stripped = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    if not stripped:
        message = f"no name in the file begins with {quote(prefix)}"
        firsts = dict.fromkeys(re.split(r"(?<=[./])", name)[0] for name in tensors)
        raise UsageError(message, did_you_mean(prefix, firsts, "beginnings"))
    return stripped
