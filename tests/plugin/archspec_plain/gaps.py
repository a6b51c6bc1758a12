"""The ops that this backend cannot lower, each with a code and the reason: data, which the suite holds it to."""

from __future__ import annotations

from archspec.backend import Gap

_VIEW = "its windows are no sliding view, which is all that numpy has"
_OTHERS = "the networks that this backend is for do without it"

_REASONS = {
    "gelu": "numpy has no error function",
    **dict.fromkeys(("conv_transpose", "adaptive_avg_pool", "adaptive_max_pool"), _VIEW),
    **dict.fromkeys(
        ("relu6", "elu", "selu", "silu", "hard_sigmoid", "hard_swish", "prelu"), _OTHERS
    ),
    **dict.fromkeys(("layer_norm", "group_norm", "instance_norm"), _OTHERS),
    **dict.fromkeys(("pad", "resize", "channel_shuffle"), _OTHERS),
}

GAPS = {kind: Gap(f"plain-{kind}", reason) for kind, reason in _REASONS.items()}
