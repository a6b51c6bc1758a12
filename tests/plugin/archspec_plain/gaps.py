"""The ops that this backend cannot lower, with a code and a reason each: the suite checks them."""

from __future__ import annotations

from archspec.backend import Gap

_NOT_A_VIEW = "its windows are not a sliding view, the only windows that numpy has"
_NOT_NEEDED = "the networks that this backend is for do without it"

_REASONS = {
    "gelu": "numpy has no error function",
    **dict.fromkeys(("conv_transpose", "adaptive_avg_pool", "adaptive_max_pool"), _NOT_A_VIEW),
    **dict.fromkeys(("relu6", "elu", "selu", "silu", "hard_sigmoid", "hard_swish"), _NOT_NEEDED),
    **dict.fromkeys(("prelu", "layer_norm", "group_norm", "instance_norm"), _NOT_NEEDED),
    **dict.fromkeys(("pad", "resize", "channel_shuffle"), _NOT_NEEDED),
}

GAPS = {kind: Gap(f"plain-{kind}", reason) for kind, reason in _REASONS.items()}
