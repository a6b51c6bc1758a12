"""Python names for what a spec calls its things: nothing of its spelling survives but ASCII letters, digits and `_`.

>>> identifier("#3x3 reduce", "n"), identifier("1x1", "b"), identifier("lambda", "b")
('n3x3_reduce', 'b1x1', 'lambda_')
>>> class_name("max pool"), class_name("GoogLeNet")
('MaxPool', 'GoogLeNet')
"""

from __future__ import annotations

import keyword
import re
import unicodedata

_LONGEST = 40

# What the emitted file uses by these names, and the letters that read as digits.
_FILE = (
    "torch nn F Tensor NamedTuple OrderedDict PathLike Sequence Any ValueError math self super range build_model"
    " load_weights attribute RENAMED EXACT float int bool str tuple len min max l O I match case".split()
)

# Attributes of nn.Module, nn.Sequential and nn.ModuleList: a layer of such a name would hide them.
MODULE_ATTRIBUTES = frozenset(
    "T_destination add_module append apply bfloat16 buffers call_super_init children compile cpu cuda double "
    "dump_patches eval extend extra_repr float forward get_buffer get_extra_state get_parameter get_submodule "
    "half insert ipu load_state_dict modules mtia named_buffers named_children named_modules named_parameters "
    "parameters pop register_backward_hook register_buffer register_forward_hook register_forward_pre_hook "
    "register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook "
    "register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook "
    "register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to "
    "to_empty train training type xpu zero_grad".split()
)

RESERVED = frozenset((*keyword.kwlist, *_FILE, *MODULE_ATTRIBUTES, "count", "index"))


def identifier(text: str, digit: str = "b") -> str:
    """A Python name; `digit` goes before one that would begin with a digit, `n` where the spec writes `#`."""
    prefix = "n" if text.startswith("#") else digit
    # Python normalises names to NFKC itself: done first, no two look-alikes can collide unseen.
    plain = re.sub(r"[^0-9A-Za-z]+", "_", unicodedata.normalize("NFKC", text[: 4 * _LONGEST])).strip("_")
    name = (plain if plain[:1].isalpha() else f"{prefix}{plain}")[:_LONGEST].rstrip("_")
    return f"{name}_" if name in RESERVED else name


def class_name(text: str) -> str:
    """The name of the class for a block, in capitals and small letters."""
    words = re.split(r"[^0-9A-Za-z]+", unicodedata.normalize("NFKC", text[: 4 * _LONGEST]))
    name = "".join(word[:1].upper() + word[1:] for word in words)
    name = (name if name[:1].isalpha() else f"Block{name}")[:_LONGEST]
    return f"{name}_" if name in RESERVED else name


class Namespace:
    """Names that are taken; the same name asked for again gets a number.

    >>> space = Namespace()
    >>> space.take("conv"), space.take("conv")
    ('conv', 'conv_2')
    """

    def __init__(self, *taken: str) -> None:
        self.taken = set(taken)

    def take(self, name: str, join: str = "_") -> str:
        found, count = name, 1
        while found in self.taken:
            count += 1
            found = f"{name.rstrip('_')}{join}{count}"
        self.taken.add(found)
        return found
