"""Traps: names that frameworks give different meanings, each in the smallest spec that shows it.

>>> [trap.name for trap in TRAPS if "average" in trap.name][:2]
['average_leaves_the_border_out', 'average_counts_the_border_when_told']
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from archspec.conformance import dropout_laws
from archspec.conformance.fields import required, schema
from archspec.conformance.ops import simple_fields
from archspec.conformance.trap import DropoutTrap, Trap, net
from archspec.ir.types import Shape
from archspec.ops import OPS

_CONV = "kernel: 3, out: 4"

_DROPOUT = net("2500", f"dropout: {{rate: {dropout_laws.RATE}}}")

_AUX = """\
heads:
  aux1: {block: side, from: one, only: train, weight: 0.3}
  aux2: {block: side, from: two, only: train, weight: 0.7}
blocks:
  side: {body: [global_avg_pool, flatten, {linear: {out: 4}}]}
"""

_SMALL = 1e-3
"""An input scaled by it has a variance of the size of the usual eps, 1e-5."""


_FAR = 512.0
"""A mean beside which the square of a deviation of about 1 has lost most digits in float32."""


def _norm_traps() -> Iterator[Trap]:
    """Yield two traps for each way to divide by a root that an eps is added to.

    float32 hides an eps that is slightly off unless the variance is as small as the eps, and it
    loses a variance that is the difference of squares where the mean is large.
    """
    for kind in OPS:
        if "eps" in schema(kind):
            for fields in _variants(kind, (4, 5, 5)):
                name = "_".join([kind, *map(str, fields.values())])
                text = net("4, 5, 5", f"{kind}: {json.dumps(fields)}")
                yield Trap(
                    f"{name}_takes_its_eps_where_little_varies",
                    text,
                    "an eps that is off by half is rounding, unless the variance is as small as it",
                    ("eval", "train", "grad"),
                    scale=_SMALL,
                )
                yield Trap(
                    f"{name}_keeps_its_digits_far_from_zero",
                    text,
                    "a mean square less the squared mean is noise; the variance is of differences",
                    ("train",),
                    scale=0.25,
                    offset=_FAR,
                    precision="float32",
                )


def _variants(kind: str, shape: Shape) -> Iterator[dict[str, Any]]:
    """Yield an op's fields with each choice by name; other fields are there if required."""
    stated = {name for name, field in schema(kind).items() if "enum" in field} | required(kind)
    for fields in simple_fields(kind, shape):
        at_default = any(
            schema(kind)[name].get("default") == value for name, value in fields.items()
        )
        if set(fields) <= stated and not at_default:
            yield fields


TRAPS = (
    Trap(
        "batch_is_free",
        net(
            "3, 4, 4",
            "conv: {out: 4, kernel: 1}",
            "reshape: {to: [2, 4, 8]}",
            "flatten",
            "linear: {out: 3}",
        ),
        "exporters bake in the batch that they traced",
        ("eval",),
    ),
    Trap(
        "floor_is_usual",
        net("3, 8, 8", "max_pool: {kernel: 3, stride: 2}"),
        "torch's pools round down, and so do ours unless told otherwise; Caffe's round up",
    ),
    Trap(
        "ceil_rounds_pools_up",
        net("3, 8, 8", "max_pool: {kernel: 3, stride: 2, rounding: ceil}"),
        "Caffe's pools round up: 8 becomes 4; torch's round down, to 3",
    ),
    Trap(
        "ceil_drops_a_window_in_the_padding",
        net("3, 5, 5", "max_pool: {kernel: 2, stride: 3, padding: 1, rounding: ceil}"),
        "a last window that begins past the input and its left padding is dropped",
    ),
    Trap(
        "same_puts_the_larger_part_after",
        net("3, 8, 8", f"conv: {{{_CONV}, stride: 2, padding: same}}"),
        "at stride 2 `same` is not symmetric: [0, 1] here, as in TensorFlow",
    ),
    Trap(
        "same_lower_puts_the_larger_part_before",
        net("3, 8, 8", f"conv: {{{_CONV}, stride: 2, padding: same_lower}}"),
        "ONNX's SAME_LOWER: [1, 0]",
    ),
    Trap(
        "symmetric_is_not_same",
        net("3, 8, 8", f"conv: {{{_CONV}, stride: 2, padding: symmetric}}"),
        "(k-1)/2 on both sides, at any stride",
    ),
    Trap(
        "each_side_has_its_own_padding",
        net("3, 6, 6", f"conv: {{{_CONV}, padding: [[0, 2], [1, 0]]}}"),
        "four sides, four numbers, in order",
    ),
    Trap(
        "average_leaves_the_border_out",
        net("3, 6, 6", "avg_pool: {kernel: 3, stride: 1, padding: 1}"),
        "torch counts border zeros unless told otherwise",
    ),
    Trap(
        "average_counts_the_border_when_told",
        net("3, 6, 6", "avg_pool: {kernel: 3, stride: 1, padding: 1, count_include_pad: true}"),
        "Keras never counts border zeros",
    ),
    Trap(
        "average_never_counts_the_overhang",
        net(
            "3, 6, 6",
            "avg_pool: {kernel: 3, stride: 2, padding: 1, rounding: ceil, count_include_pad: true}",
        ),
        "what `ceil` adds after the padding is no part of the mean; ONNX changed its mind by opset",
    ),
    Trap(
        "max_pool_pads_with_minus_infinity",
        net("3, 6, 6", "max_pool: {kernel: 3, stride: 2, padding: 1}"),
        "padding with zeros wins over a negative input",
        negative=True,
    ),
    Trap(
        "max_pool_pads_one_side_with_minus_infinity",
        net("3, 6, 6", "max_pool: {kernel: 3, stride: 2, padding: [[0, 1], [1, 0]]}"),
        "the same where the padding is written by hand",
        negative=True,
    ),
    Trap(
        "lrn_divides_alpha_by_its_size",
        net("6, 4, 4", "lrn: {size: 3, alpha: 2.0, beta: 0.75, k: 1.0}"),
        "TensorFlow multiplies the sum by alpha undivided, over 2 * radius + 1 channels",
    ),
    Trap(
        "lrn_clips_its_window",
        net("2, 4, 4", "lrn: {size: 5, alpha: 2.0}"),
        "at both ends the window is cut, and alpha is still divided by the whole size",
    ),
    Trap(
        "batch_norm_takes_its_eps",
        net("3, 5, 5", "batch_norm: {eps: 0.1}"),
        "1e-5 in torch, 1e-3 in Keras",
        ("eval", "train", "grad"),
    ),
    *_norm_traps(),
    Trap(
        "batch_norm_momentum_is_the_share_of_the_batch",
        net("3, 5, 5", "batch_norm: {momentum: 0.3}"),
        "Keras and ONNX mean the share of the past",
        ("train",),
    ),
    Trap(
        "batch_norm_moves_by_the_unbiased_variance",
        net("3, 2, 2", "batch_norm"),
        "Keras and ONNX move by the biased one",
        ("train",),
    ),
    Trap(
        "batch_norm_normalises_by_the_biased_variance",
        net("3", "batch_norm"),
        "the batch itself is divided by its biased deviation",
        ("train", "grad"),
    ),
    Trap(
        "flatten_keeps_channels_first",
        net("3, 2, 4", "flatten", "linear: {out: 5}"),
        "channels-last engines flatten H,W,C, and the next dense layer silently breaks",
        ("eval", "grad", "step"),
    ),
    Trap(
        "reshape_keeps_channels_first",
        net("6, 2, 4", "reshape: {to: [4, 6, 2]}", "conv: {out: 3, kernel: [1, 2]}"),
        "the same values in the order C,H,W",
    ),
    Trap(
        "channel_shuffle_goes_by_its_groups",
        net("6, 2, 4", "channel_shuffle: {groups: 2}"),
        "2 groups of 3 channels are not 3 groups of 2; 2 groups of 2 would hide it",
    ),
    Trap(
        "weights_have_one_layout",
        net("3, 6, 5", "conv: {out: 4, kernel: [3, 2]}", "flatten", "linear: {out: 5}"),
        "[out, in, *kernel] and [out, in], whatever the framework keeps",
        ("eval", "grad", "step"),
    ),
    Trap(
        "groups_have_one_layout",
        net("4, 5, 5", "conv: {out: 6, kernel: 2, groups: 2}"),
        "output channels are grouped in order",
        ("eval", "grad", "step"),
    ),
    Trap(
        "depthwise_has_one_layout",
        net("4, 5, 5", "conv: {out: 8, kernel: 2, groups: 4}"),
        "[C * m, 1, *kernel]: channel by channel, m kernels each",
        ("eval", "grad", "step"),
    ),
    Trap(
        "transposed_weights_have_one_layout",
        net("4, 4, 4", "conv_transpose: {out: 6, kernel: [3, 2], stride: 2, groups: 2}"),
        "[in, out/groups, *kernel]",
        ("eval", "grad", "step"),
    ),
    Trap(
        "transposed_same_cuts_the_larger_half_after",
        net("3, 4, 5", "conv_transpose: {out: 2, kernel: [3, 1], stride: 2, padding: same}"),
        "in * stride, as Keras has it: 3 cuts 0 and 1 off, 1 leaves a row to add",
        ("eval", "grad", "step"),
    ),
    Trap(
        "a_convolution_may_have_one_filter",
        net(
            "4, 8, 8",
            "{name: one, conv: {out: 1, kernel: [3, 2]}}",
            "{name: two, conv: {out: 2, kernel: 1}}",
            "{name: three, conv: {out: 1, kernel: 2, stride: 2, dilation: 2}}",
        ),
        "PyTorch's own derivative refuses the memory format in which Keras gives it one filter",
        ("grad",),
    ),
    Trap(
        "a_transposed_convolution_may_have_one_channel",
        net("1, 4, 4", "conv_transpose: {out: 3, kernel: 3, stride: 2}"),
        "the same of one input channel",
        ("grad",),
    ),
    Trap(
        "layer_norm_has_one_layout",
        net("3, 2, 4", "layer_norm"),
        "scale and shift are C,H,W where all of a sample is normalised",
        ("eval", "grad", "step"),
    ),
    Trap(
        "dropout_is_off_in_eval",
        net("64", "dropout: {rate: 0.9}"),
        "eval mode drops nothing and scales nothing",
        ("eval",),
    ),
    DropoutTrap(
        "dropout_is_off_in_eval_whoever_asks",
        _DROPOUT,
        "a generator that is handed on in either mode",
        ("eval",),
        law=dropout_laws.drops_nothing_in_eval,
    ),
    DropoutTrap(
        "dropout_rate_is_what_is_dropped",
        _DROPOUT,
        "older libraries state what is kept",
        ("train",),
        law=dropout_laws.drops_at_its_rate,
    ),
    DropoutTrap(
        "dropout_scales_what_it_keeps",
        _DROPOUT,
        "the first paper scales in eval mode instead",
        ("train",),
        law=dropout_laws.scales_what_it_keeps,
    ),
    DropoutTrap(
        "dropout_draws_anew",
        _DROPOUT,
        "a seed that is fixed, or a mask that a batch shares",
        ("train",),
        law=dropout_laws.draws_anew,
    ),
    Trap("gelu_is_exact", net("3, 4, 4", "gelu"), "the tanh approximation is another function"),
    Trap(
        "gelu_tanh_is_the_approximation",
        net("3, 4, 4", "gelu: {approximate: tanh}"),
        "where it is asked for",
    ),
    Trap(
        "hard_sigmoid_has_slope_one_sixth",
        net("3, 4, 4", "hard_sigmoid"),
        "relu6(x + 3) / 6; ONNX's default slope is 0.2",
    ),
    Trap("hard_swish_has_slope_one_sixth", net("3, 4, 4", "hard_swish"), "x * relu6(x + 3) / 6"),
    Trap(
        "leaky_relu_has_slope_one_hundredth", net("3, 4, 4", "leaky_relu"), "Keras' default is 0.3"
    ),
    Trap("elu_has_alpha_one", net("3, 4, 4", "elu"), "and other values where they are given"),
    Trap(
        "softmax_is_over_the_channels",
        net("3, 4, 4", "softmax"),
        "the channels are the first axis of a sample here and the last one elsewhere",
    ),
    Trap(
        "nearest_is_asymmetric_when_told",
        net("2, 3, 3", "resize: {size: 5, mode: nearest, coordinates: asymmetric}"),
        "floor(i * n/m)",
    ),
    Trap(
        "nearest_is_half_pixel_when_told",
        net("2, 3, 3", "resize: {size: 5, mode: nearest, coordinates: half_pixel}"),
        "floor((i + 0.5) * n/m)",
    ),
    Trap(
        "linear_is_half_pixel_when_told",
        net("2, 3, 3", "resize: {size: 5, mode: linear, coordinates: half_pixel}"),
        "positions lie at the middle of their cells",
    ),
    Trap(
        "linear_aligns_corners_when_told",
        net("2, 3, 3", "resize: {size: 5, mode: linear, coordinates: align_corners}"),
        "the first and last positions stay",
    ),
    Trap(
        "heads_of_training_are_in_train_mode_alone",
        net("3, 4, 4", "{name: one, conv: {out: 4, kernel: 1}}", "{name: two, relu: }", more=_AUX),
        "eval mode leaves them out",
        ("eval", "train"),
    ),
    Trap(
        "heads_hang_where_they_are_put",
        net(
            "3, 4, 4",
            "{name: one, conv: {out: 4, kernel: 1}}",
            "{name: two, conv: {out: 4, kernel: 1}}",
            "global_avg_pool",
            more=_AUX,
        ),
        "a well-known library had its two auxiliary heads swapped for years",
        ("train", "grad"),
    ),
)
"""Every trap of the concepts page on semantics."""
