"""PyTorch's dialect of the emitted source: containers of layers, and reserved names."""

from __future__ import annotations

from archspec.codegen.dialect import Dialect
from archspec.codegen.names import RESERVED, class_name
from archspec.codegen.printer import Call, Code, List
from archspec_torch.lowerings import lower

# The names that the emitted file itself defines or imports.
_FILE = (
    "torch nn F Tensor NamedTuple OrderedDict PathLike Sequence self "
    "build_model load_weights attribute RENAMED EXACT"
).split()

# Attributes of nn.Module, nn.Sequential and nn.ModuleList: a layer of such a name would hide them.
MODULE_ATTRIBUTES = frozenset(
    (
        "T_destination add_module append apply bfloat16 buffers call_super_init children compile "
        "cpu cuda double dump_patches eval extend extra_repr float forward get_buffer "
        "get_extra_state get_parameter get_submodule half insert ipu load_state_dict modules mtia "
        "named_buffers named_children named_modules named_parameters parameters pop "
        "register_backward_hook register_buffer register_forward_hook register_forward_pre_hook "
        "register_full_backward_hook register_full_backward_pre_hook "
        "register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module "
        "register_parameter register_state_dict_post_hook register_state_dict_pre_hook "
        "requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty train "
        "training type xpu zero_grad"
    ).split()
)

_RESERVED = frozenset((*RESERVED, *_FILE, *MODULE_ATTRIBUTES, "count", "index"))


def _sequence(keyed: tuple[tuple[str, Code], ...]) -> Code:
    return Call("nn.Sequential", (("", Call("OrderedDict", keyed)),))


def _numbered(iterations: tuple[Code, ...]) -> Code:
    return Call("nn.Sequential", tuple(("", code) for code in iterations))


def _module_list(iterations: tuple[Code, ...]) -> Code:
    return Call("nn.ModuleList", (("", List(iterations)),))


TORCH = Dialect(
    lower=lower,
    reserved=_RESERVED,
    class_name=lambda text: class_name(text, _RESERVED),
    number_prefix="",
    sequential=_sequence,
    numbered=_numbered,
    module_list=_module_list,
)
