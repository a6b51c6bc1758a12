"""Each trap fails for a backend with the framework's default, or the classic mistake, in it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from archspec.backend import Backend, BackendFault, load
from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.dropout_laws import RATE
from archspec.conformance.layers import load_text
from archspec.conformance.trap import DropoutTrap, Trap
from archspec.conformance.traps import TRAPS
from archspec.ir.graph import Graph
from archspec.ops import OPS
from archspec.reference import ReferenceSession
from tests.helpers.mutations import (
    Mutation,
    attribute,
    built_with,
    fields,
    instead_of,
    of_graph,
    of_model,
    text,
)

NAMED = {trap.name: trap for trap in TRAPS}
LITTLE = "takes_its_eps_where_little_varies"
NORMS = [name.removesuffix(f"_{LITTLE}") for name in NAMED if name.endswith(LITTLE)]
MORE_PADDING = ((1, 3), (1, 3))


def heads_always(graph: Graph) -> Graph:
    return replace(graph, heads=tuple(replace(head, train_only=False) for head in graph.heads))


def heads_swapped(graph: Graph) -> Graph:
    main, one, two = graph.heads
    return replace(graph, heads=(main, replace(one, node=two.node), replace(two, node=one.node)))


ZERO_PADDED = """
class Wrong(nn.MaxPool2d):
    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool2d(F.pad(input, [self.padding] * 4), self.kernel_size, self.stride)
"""
FULL_WINDOW = r"means = F.avg_pool2d\((.*)\)"
CUT_WINDOW = r"means = F.avg_pool2d(\1, count_include_pad=False)"
BIASED_MOVING = """
class Wrong(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        count = input.numel() // self.num_features
        before = self.running_var.clone()
        y = super().forward(input)
        if self.training:
            share = self.running_var - (1 - self.momentum) * before
            self.running_var -= share / count
        return y
"""
UNBIASED = """
class Wrong(nn.BatchNorm1d):
    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        super().forward(input)
        centred = input - input.mean(0)
        return centred / (input.var(0) + self.eps).sqrt() * self.weight + self.bias
"""


def naive(base: str, parts: int, axes: str, shape: str) -> str:
    """Return a norm whose variance is the squared mean from the mean square, as Keras's on torch."""
    return f"""
class Wrong({base}):
    def forward(self, input: Tensor) -> Tensor:
        super().forward(input)
        x = input.unflatten(1, ({parts}, -1))
        mean = x.mean({axes}, keepdim=True)
        variance = (x * x).mean({axes}, keepdim=True) - mean * mean
        y = ((x - mean) / (variance + self.eps).sqrt()).reshape(input.shape)
        if self.weight is None:
            return y
        return y * self.weight.reshape{shape} + self.bias.reshape{shape}
"""


CHANNEL = "(-1, 1, 1)"
NAIVE = {
    "batch_norm": ("nn.BatchNorm2d", 4, "(0, 2, 3, 4)", CHANNEL),
    "layer_norm": ("nn.LayerNorm", 1, "(1, 2, 3, 4)", "(4, 5, 5)"),
    "group_norm_1": ("nn.GroupNorm", 1, "(1, 2, 3, 4)", CHANNEL),
    "instance_norm": ("nn.InstanceNorm2d", 4, "(2, 3, 4)", CHANNEL),
}
SHORTCUT = (
    "mean, square = input.mean(1, True), (input * input).mean(1, True); "
    "y = (input - mean) / (square - mean * mean + self.eps).sqrt(); "
    "return y * self.weight.reshape(-1, 1, 1) + self.bias.reshape(-1, 1, 1)"
)
FAR = "keeps_its_digits_far_from_zero"

CHANNELS_LAST = """
class Wrong(nn.Flatten):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.movedim(1, -1))
"""
INPUTS_FIRST = """
class Wrong(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight.reshape(self.weight.mT.shape).mT, self.bias)
"""
KERNEL_FIRST = """
class Wrong(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight.movedim((0, 1), (3, 2))
        return self._conv_forward(input, weight.reshape(self.weight.shape), self.bias)
"""
INTERLEAVED = """
class Wrong(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight.unflatten(0, (-1, self.groups)).transpose(0, 1)
        return self._conv_forward(input, weight.reshape(self.weight.shape), self.bias)
"""
OUTPUTS_FIRST = """
class Wrong(nn.ConvTranspose2d):
    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight.transpose(0, 1).reshape(self.weight.shape)
        return F.conv_transpose2d(input, weight, self.bias, self.stride, groups=self.groups)
"""
FLIPPED = """
class Wrong(nn.ConvTranspose2d):
    def forward(self, input: Tensor) -> Tensor:
        return F.conv_transpose2d(input, self.weight.flip(2, 3), self.bias, self.stride, groups=self.groups)
"""
CHANNELS_LAST_NORM = """
class Wrong(nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:
        weight, bias = (t.movedim(0, -1).reshape(t.shape) for t in (self.weight, self.bias))
        return F.layer_norm(input, self.normalized_shape, weight, bias, self.eps)
"""
ALWAYS_DROPS = """
class Wrong(nn.Module):
    def __init__(self, rate: float) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, 0.9)
"""
SCALES_IN_EVAL = """
class Wrong(nn.Dropout):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 0.1
"""
NEVER_DROPS = """
class Wrong(nn.Module):
    def __init__(self, rate: float) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input
"""
NEVER_SCALES = """
class Wrong(nn.Dropout):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * (1 - self.p if self.training else 1)
"""
SEEDED = """
class Wrong(nn.Dropout):
    def forward(self, input: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return super().forward(input)
"""
ONE_MASK = """
class Wrong(nn.Dropout):
    def forward(self, input: Tensor) -> Tensor:
        return input * super().forward(torch.ones_like(input[0]))
"""
SLOPE_ONE_FIFTH = """
class Wrong(nn.Module):
    def forward(self, input: Tensor) -> Tensor:
        return torch.clamp(0.2 * input + 0.5, 0, 1)
"""
SWISH_ONE_FIFTH = """
class Wrong(nn.Module):
    def forward(self, input: Tensor) -> Tensor:
        return input * torch.clamp(0.2 * input + 0.5, 0, 1)
"""

TORCH: tuple[tuple[str, Mutation, str], ...] = (
    (
        "batch_is_free",
        text(r"x\.flatten\(1\)", "x.reshape(3, -1)"),
        "the batch that was traced is baked in",
    ),
    ("floor_is_usual", fields(rounding="ceil"), "Caffe's pools"),
    ("ceil_rounds_pools_up", fields(rounding="floor"), "torch's default"),
    (
        "ceil_drops_a_window_in_the_padding",
        fields(rounding="floor", padding=MORE_PADDING),
        "the last window is kept",
    ),
    ("same_puts_the_larger_part_after", fields(padding="symmetric"), "torch's padding"),
    ("same_puts_the_larger_part_after", fields(padding="same_lower"), "the larger part before"),
    ("same_lower_puts_the_larger_part_before", fields(padding="same"), "TensorFlow's SAME"),
    ("symmetric_is_not_same", fields(padding="same"), "TensorFlow's SAME"),
    (
        "each_side_has_its_own_padding",
        fields(padding=((1, 0), (0, 2))),
        "torch's order of axes: the last is first",
    ),
    (
        "each_side_has_its_own_padding",
        fields(padding=((2, 0), (0, 1))),
        "after and before are swapped",
    ),
    ("average_leaves_the_border_out", fields(count_include_pad=True), "torch's default"),
    ("average_counts_the_border_when_told", fields(count_include_pad=False), "Keras' only way"),
    (
        "average_never_counts_the_overhang",
        fields(rounding="floor", padding=((1, 2), (1, 2))),
        "padded, then averaged",
    ),
    ("max_pool_pads_with_minus_infinity", instead_of("nn.MaxPool2d", ZERO_PADDED), "zeros win"),
    ("max_pool_pads_one_side_with_minus_infinity", text(r'float\("-inf"\)', "0.0"), "zeros win"),
    ("lrn_divides_alpha_by_its_size", fields(alpha=6.0), "TensorFlow's alpha"),
    ("lrn_divides_alpha_by_its_size", fields(size=7), "a radius taken for a size"),
    (
        "lrn_clips_its_window",
        text(FULL_WINDOW, CUT_WINDOW),
        "alpha is divided by the channels that are there",
    ),
    ("batch_norm_takes_its_eps", fields(eps=1e-5), "torch's default"),
    ("batch_norm_takes_its_eps", fields(eps=1e-3), "Keras' default"),
    ("batch_norm_momentum_is_the_share_of_the_batch", fields(momentum=0.7), "Keras' meaning"),
    ("batch_norm_momentum_is_the_share_of_the_batch", fields(momentum=0.1), "torch's default"),
    (
        "batch_norm_moves_by_the_unbiased_variance",
        instead_of("nn.BatchNorm2d", BIASED_MOVING),
        "Keras' variance",
    ),
    (
        "batch_norm_normalises_by_the_biased_variance",
        instead_of("nn.BatchNorm1d", UNBIASED),
        "one variance for both",
    ),
    *((f"{norm}_{LITTLE}", fields(eps=1.5e-5), "half as large again") for norm in NORMS),
    *(
        (f"{norm}_{FAR}", instead_of(row[0], naive(*row)), "the variance of a shortcut")
        for norm, row in NAIVE.items()
    ),
    (
        f"layer_norm_channels_{FAR}",
        text(r"(class ChannelNorm.*\n.*\n\n)(.*)\n", rf"\1\2\n        {SHORTCUT}\n"),
        "the variance of a shortcut",
    ),
    ("a_convolution_may_have_one_filter", instead_of("nn.Conv2d", KERNEL_FIRST), "Keras' layout"),
    (
        "a_transposed_convolution_may_have_one_channel",
        instead_of("nn.ConvTranspose2d", FLIPPED),
        "a correlation",
    ),
    ("channel_shuffle_goes_by_its_groups", fields(groups=3), "groups and channels swapped"),
    ("flatten_keeps_channels_first", instead_of("nn.Flatten", CHANNELS_LAST), "H, W, C"),
    (
        "reshape_keeps_channels_first",
        text(r"x\.flatten\(1\)", "x.movedim(1, -1).flatten(1)"),
        "H, W, C",
    ),
    ("weights_have_one_layout", instead_of("nn.Linear", INPUTS_FIRST), "Keras' [in, out]"),
    ("weights_have_one_layout", instead_of("nn.Conv2d", KERNEL_FIRST), "TensorFlow's HWIO"),
    ("groups_have_one_layout", instead_of("nn.Conv2d", INTERLEAVED), "groups vary fastest"),
    (
        "depthwise_has_one_layout",
        instead_of("nn.Conv2d", INTERLEAVED),
        "multipliers first, then channels",
    ),
    (
        "transposed_weights_have_one_layout",
        instead_of("nn.ConvTranspose2d", OUTPUTS_FIRST),
        "as a convolution's",
    ),
    (
        "transposed_weights_have_one_layout",
        instead_of("nn.ConvTranspose2d", FLIPPED),
        "no flip, or one too many",
    ),
    (
        "transposed_same_cuts_the_larger_half_after",
        fields(padding="same_lower"),
        "the larger half before",
    ),
    ("layer_norm_has_one_layout", instead_of("nn.LayerNorm", CHANNELS_LAST_NORM), "H, W, C"),
    ("dropout_is_off_in_eval", instead_of("nn.Dropout", ALWAYS_DROPS), "always on"),
    (
        "dropout_is_off_in_eval",
        instead_of("nn.Dropout", SCALES_IN_EVAL),
        "scaled in eval mode, as the first paper has it",
    ),
    ("dropout_is_off_in_eval_whoever_asks", instead_of("nn.Dropout", ALWAYS_DROPS), "always on"),
    ("dropout_rate_is_what_is_dropped", fields(rate=1 - RATE), "what is kept"),
    (
        "dropout_rate_is_what_is_dropped",
        instead_of("nn.Dropout", NEVER_DROPS),
        "left out in train mode too",
    ),
    ("dropout_scales_what_it_keeps", instead_of("nn.Dropout", NEVER_SCALES), "not scaled"),
    ("dropout_draws_anew", instead_of("nn.Dropout", SEEDED), "the same draws in each run"),
    (
        "dropout_draws_anew",
        instead_of("nn.Dropout", ONE_MASK),
        "the samples of a batch share a mask",
    ),
    (
        "gelu_is_exact",
        fields(approximate="tanh"),
        "the older default of jax and of many papers' code",
    ),
    ("gelu_tanh_is_the_approximation", fields(approximate="none"), "torch's default"),
    (
        "hard_sigmoid_has_slope_one_sixth",
        instead_of("nn.Hardsigmoid", SLOPE_ONE_FIFTH),
        "ONNX's default",
    ),
    (
        "hard_swish_has_slope_one_sixth",
        instead_of("nn.Hardswish", SWISH_ONE_FIFTH),
        "made of ONNX's default",
    ),
    ("leaky_relu_has_slope_one_hundredth", fields(slope=0.3), "Keras' default"),
    ("elu_has_alpha_one", fields(alpha=1.6732632), "selu's"),
    ("softmax_is_over_the_channels", text(r"dim=1", "dim=-1"), "the last axis"),
    ("nearest_is_asymmetric_when_told", fields(coordinates="half_pixel"), "another convention"),
    ("nearest_is_half_pixel_when_told", fields(coordinates="asymmetric"), "torch's nearest"),
    ("linear_is_half_pixel_when_told", fields(coordinates="align_corners"), "another convention"),
    ("linear_aligns_corners_when_told", fields(coordinates="half_pixel"), "torch's default"),
    ("heads_of_training_are_in_train_mode_alone", of_graph(heads_always), "computed always"),
    ("heads_hang_where_they_are_put", of_graph(heads_swapped), "swapped"),
)


def batch_of_three(model: ModelProto) -> None:
    """Bake in a batch of three, as an exporter that traced one does."""
    for tensor in (node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"):
        values = numpy_helper.to_array(tensor).copy()
        if values.dtype == "int64" and values.ndim == 1:
            values[0], values[values == -1] = 3, -1
            tensor.CopyFrom(numpy_helper.from_array(values))


def channels_last(model: ModelProto) -> None:
    """Flatten with the channels last."""
    (node,) = (node for node in model.graph.node if node.op_type == "Flatten")
    model.graph.node.insert(
        0, onnx.helper.make_node("Transpose", [node.input[0]], ["turned"], perm=[0, 2, 3, 1])
    )
    (flatten,) = (node for node in model.graph.node if node.op_type == "Flatten")
    flatten.input[0] = "turned"


def switched_off(model: ModelProto) -> None:
    (switch,) = (tensor for tensor in model.graph.initializer if tensor.name == "dropout")
    switch.CopyFrom(numpy_helper.from_array(np.array(False), "dropout"))


def unscaled(model: ModelProto) -> None:
    (node,) = (node for node in model.graph.node if node.op_type == "Dropout")
    output, node.output[0] = node.output[0], "scaled"
    model.graph.initializer.append(
        numpy_helper.from_array(np.array([1 - RATE], np.float32), "kept")
    )
    model.graph.node.append(onnx.helper.make_node("Mul", ["scaled", "kept"], [output]))


KERAS_NEVER_SCALES = """
class Wrong(layers.Dropout):
    def call(self, inputs: Any, training: bool = False) -> Any:
        return super().call(inputs, training=training) * (1 - self.rate if training else 1)


"""
KERAS_SEEDED = """
class Wrong(layers.Dropout):
    def call(self, inputs: Any, training: bool = False) -> Any:
        return keras.random.dropout(inputs, self.rate, seed=0) if training else inputs


"""

ONNX: tuple[tuple[str, Mutation, str], ...] = (
    *((f"{norm}_{LITTLE}", fields(eps=1.5e-5), "half as large again") for norm in NORMS),
    ("channel_shuffle_goes_by_its_groups", fields(groups=3), "groups and channels swapped"),
    ("batch_is_free", of_model(batch_of_three), "the batch that was traced is baked in"),
    ("hard_sigmoid_has_slope_one_sixth", attribute("HardSigmoid", alpha=0.2), "ONNX's default"),
    (
        "average_leaves_the_border_out",
        attribute("AveragePool", count_include_pad=1),
        "torch's default",
    ),
    (
        "average_counts_the_border_when_told",
        attribute("AveragePool", count_include_pad=0),
        "ONNX's default",
    ),
    (
        "average_never_counts_the_overhang",
        fields(rounding="floor", padding=((1, 2), (1, 2))),
        "as before opset 19",
    ),
    ("lrn_divides_alpha_by_its_size", fields(alpha=6.0), "TensorFlow's alpha"),
    ("softmax_is_over_the_channels", attribute("Softmax", axis=-1), "ONNX's default"),
    (
        "flatten_keeps_channels_first",
        of_model(channels_last),
        "H, W, C, as converters from TensorFlow have it",
    ),
    (
        "dropout_rate_is_what_is_dropped",
        built_with(fields(rate=1 - RATE), train=True),
        "what is kept",
    ),
    (
        "dropout_rate_is_what_is_dropped",
        built_with(of_model(switched_off), train=True),
        "off unless it is switched on",
    ),
    ("dropout_scales_what_it_keeps", built_with(of_model(unscaled), train=True), "not scaled"),
    (
        "ceil_rounds_pools_up",
        attribute("MaxPool", pads=[0, 0, 0, 0], ceil_mode=0),
        "ONNX's default",
    ),
)

KERAS: tuple[tuple[str, Mutation, str], ...] = (
    (
        "flatten_keeps_channels_first",
        text(r"layers\.Permute\(\(3, 1, 2\)", "layers.Permute((1, 2, 3)"),
        "H, W, C",
    ),
    (
        "batch_norm_momentum_is_the_share_of_the_batch",
        text(r"momentum=0\.7", "momentum=0.3"),
        "not turned round",
    ),
    (
        "batch_norm_moves_by_the_unbiased_variance",
        text(r"/ ops\.maximum\(count - 1, 1\)", "* 0"),
        "Keras' own",
    ),
    ("batch_norm_takes_its_eps", text(r"epsilon=0\.1", "epsilon=1e-3"), "Keras' default"),
    (
        "gelu_is_exact",
        text(r"approximate: bool = False", "approximate: bool = True"),
        "the approximation",
    ),
    (
        "leaky_relu_has_slope_one_hundredth",
        text(r"negative_slope=0\.01", "negative_slope=0.3"),
        "Keras' default",
    ),
    ("max_pool_pads_with_minus_infinity", text(r'float\("-inf"\)', "0.0"), "Keras' ZeroPadding2D"),
    (
        "lrn_divides_alpha_by_its_size",
        text(r"self\.alpha / self\.size", "self.alpha"),
        "TensorFlow's alpha",
    ),
    ("average_counts_the_border_when_told", fields(count_include_pad=False), "Keras' only way"),
    ("same_puts_the_larger_part_after", fields(padding="symmetric"), "torch's padding"),
    ("dropout_rate_is_what_is_dropped", fields(rate=1 - RATE), "what is kept"),
    (
        "dropout_rate_is_what_is_dropped",
        text(r"layers\.Dropout\(0\.3, ", "layers.Identity("),
        "left out in train mode too",
    ),
    (
        "dropout_scales_what_it_keeps",
        text(r"layers\.Dropout\b", "Wrong", KERAS_NEVER_SCALES),
        "not scaled",
    ),
    (
        "dropout_draws_anew",
        text(r"layers\.Dropout\b", "Wrong", KERAS_SEEDED),
        "the same draws in each run",
    ),
)

CASES = [
    (name, *row)
    for name, rows in (("torch", TORCH), ("onnx", ONNX), ("keras", KERAS))
    for row in rows
]


def tried(trap: Trap, backend: Backend) -> None:
    """Run a trap as the suite does, in this process."""
    with BackendUnderTest.local(backend) as under_test:
        trap.check(under_test)


@pytest.mark.parametrize(
    ("backend", "trap", "mutation", "why"), CASES, ids=[f"{c[0]}-{c[1]}-{c[3]}" for c in CASES]
)
def test_a_backend_that_falls_into_the_trap_is_caught(
    backend: str, trap: str, mutation: Mutation, why: str
) -> None:
    # A difference is told; where a shape is another one, the framework may refuse it first.
    with pytest.raises((AssertionError, RuntimeError, Fail), match=r"differ|shape|Shape|kept"):
        tried(NAMED[trap], mutation(load(backend)))


@pytest.mark.parametrize(("backend", "trap"), sorted({case[:2] for case in CASES}))
def test_as_it_is_the_backend_passes(backend: str, trap: str) -> None:
    tried(NAMED[trap], load(backend))


@pytest.mark.parametrize("trap", [trap for trap in TRAPS if isinstance(trap, DropoutTrap)], ids=str)
def test_a_law_holds_of_the_reference(trap: DropoutTrap) -> None:
    graph = load_text(trap.text).graph
    trap.law(ReferenceSession(graph, {}), trap.inputs(graph, 4).x)


def test_every_norm_has_a_trap_for_its_eps() -> None:
    with_eps = {kind for kind, op in OPS.items() if "eps" in op.model_fields}
    assert all(any(norm.startswith(kind) for norm in NORMS) for kind in with_eps)


def test_every_norm_has_a_trap_for_its_digits() -> None:
    assert {f"{norm}_{FAR}" for norm in NORMS} <= set(NAMED)


def test_every_trap_has_a_mutation() -> None:
    assert {trap for trap, _, _ in TORCH} == set(NAMED)


@pytest.mark.parametrize(
    "nothing",
    [fields(kernel_of_another_op=1), text("no such text", ""), attribute("Softmax", axis=3)],
    ids=["field", "text", "attribute"],
)
def test_a_mutation_that_changes_nothing_is_no_proof(nothing: Mutation) -> None:
    backend = load("onnx" if nothing.__qualname__.startswith("of_files") else "torch")
    # A mutation stands in for a backend's own code, and so do its errors.
    with pytest.raises(BackendFault, match="does not touch|no no such text|model.py"):
        tried(NAMED["gelu_is_exact"], nothing(backend))


ROWS = {
    "shapes": "batch_is_free",
    "output size": "floor_is_usual|ceil_",
    "padding": "same|symmetric|each_side",
    "average pool": "average",
    "max pool": "max_pool",
    "LRN": "lrn",
    "batch norm": "batch_norm",
    "other norms": "(layer|group|instance)_norm.*(eps|digits)",
    "flatten": "flatten|reshape|shuffle",
    "weights": "layout|one_filter|one_channel",
    "dropout": "dropout",
    "activations": "gelu|hard_|leaky|elu|softmax",
    "resize": "nearest|linear",
    "heads": "heads",
}
"""The traps of each row of the page on semantics."""

OUT_OF_REACH = {"derivatives"}
"""Which of equal values is the largest cannot be compared where each is moved by rounding:
`test_vjp` sees to it.
"""


def test_every_row_of_the_page_on_semantics_has_a_trap() -> None:
    page = (
        Path(__file__)
        .parents[2]
        .joinpath("docs", "concepts", "semantics.md")
        .read_text(encoding="utf-8")
    )
    rows = re.findall(r"^\| \[(.+?)\]\(#", page, re.MULTILINE)
    assert set(rows) - OUT_OF_REACH == set(ROWS)
    for row, pattern in ROWS.items():
        assert any(re.search(pattern, name) for name in NAMED), row
    assert all(any(re.search(pattern, name) for pattern in ROWS.values()) for name in NAMED)
