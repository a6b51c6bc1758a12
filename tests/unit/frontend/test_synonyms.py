"""Words of other frameworks get ours as help, and never an unrelated one."""

from __future__ import annotations

import re

import pytest

from archspec.backend.registry import UnknownBackend, find
from archspec.cli import main
from archspec.ir import synonyms
from archspec.ir.document import Document
from archspec.ir.synonyms import suggest, suggest_argument, suggest_op
from archspec.ops import OPS
from tests.helpers.language import net, the

FIELDS = {kind: [*op.model_fields] for kind, op in OPS.items()}

# From the documentation of torch.nn, keras.layers, ONNX's operators, Caffe's layers and darknet.
SAME_OP = {
    "conv": "Conv1d Conv2d Conv3d Conv2D Convolution Convolution2D nn.Conv2d DepthwiseConv2D",
    "conv_transpose": "ConvTranspose2d Conv2DTranspose ConvTranspose Deconvolution deconv",
    "linear": "Linear Dense dense fc FC Gemm InnerProduct FullyConnected",
    "max_pool": "MaxPool2d MaxPooling2D MaxPool maxpool MaxPooling1D layers.MaxPooling3D Pooling",
    "avg_pool": "AvgPool2d AveragePooling2D AveragePool avgpool",
    "global_avg_pool": "GlobalAveragePooling2D GlobalAveragePool gap GlobalAvgPool",
    "global_max_pool": "GlobalMaxPooling2D GlobalMaxPool",
    "adaptive_avg_pool": "AdaptiveAvgPool2d AdaptiveAveragePooling2D",
    "adaptive_max_pool": "AdaptiveMaxPool2d",
    "batch_norm": "BatchNorm2d BatchNormalization BatchNorm bn batchnorm",
    "layer_norm": "LayerNorm LayerNormalization ln",
    "group_norm": "GroupNorm GroupNormalization",
    "instance_norm": "InstanceNorm2d InstanceNormalization",
    "lrn": "LRN LocalResponseNorm",
    "relu": "ReLU Relu RELU",
    "relu6": "ReLU6",
    "leaky_relu": "LeakyReLU LeakyRelu lrelu leaky",
    "prelu": "PReLU PRelu",
    "silu": "SiLU Swish swish",
    "hard_swish": "Hardswish HardSwish",
    "hard_sigmoid": "Hardsigmoid HardSigmoid",
    "sigmoid": "Sigmoid logistic",
    "tanh": "Tanh TanH",
    "gelu": "GELU Gelu",
    "softmax": "Softmax",
    "dropout": "Dropout",
    "flatten": "Flatten",
    "reshape": "Reshape view",
    "pad": "ZeroPadding2D ZeroPad2d ReflectionPad2d Pad",
    "crop": "Cropping2D CenterCrop",
    "resize": "Upsample UpSampling2D upsample Resize Interpolate",
    "channel_shuffle": "ChannelShuffle",
    "concat": "Concat Concatenate cat route",
    "add": "Add Sum Eltwise shortcut",
    "multiply": "Multiply Mul",
    "identity": "Identity",
}
SAME_FIELD = [
    ("conv", "filters out_channels num_output nout channels width units", "out"),
    ("conv", "kernel_size kernel_shape ksize filter_size size k", "kernel"),
    ("conv", "strides subsample s", "stride"),
    ("conv", "pad pads p", "padding"),
    ("conv", "dilation_rate dilations rate", "dilation"),
    ("conv", "group num_groups", "groups"),
    ("conv", "use_bias bias_term", "bias"),
    ("linear", "units out_features num_output n_out", "out"),
    ("max_pool", "pool_size size kernel_size window", "kernel"),
    ("max_pool", "ceil_mode", "rounding"),
    ("avg_pool", "pool_size", "kernel"),
    ("dropout", "p prob dropout_ratio ratio keep_prob", "rate"),
    ("leaky_relu", "negative_slope alpha", "slope"),
    ("batch_norm", "epsilon", "eps"),
    ("group_norm", "num_groups", "groups"),
    ("lrn", "local_size n", "size"),
    ("resize", "scale_factor", "scale"),
    ("resize", "interpolation", "mode"),
    ("resize", "align_corners", "coordinates"),
    ("adaptive_avg_pool", "output_size", "size"),
    ("reshape", "shape target_shape", "to"),
]


@pytest.mark.parametrize(
    ("word", "op"), [(word, op) for op, words in SAME_OP.items() for word in words.split()]
)
def test_a_layer_of_another_framework(word: str, op: str) -> None:
    assert suggest_op(word, OPS).startswith(f"did you mean `{op}`?")
    assert the(net(f"- {word}"), "AS0203", word).help == suggest_op(word, OPS)


@pytest.mark.parametrize(
    ("kind", "word", "field"),
    [(kind, word, field) for kind, words, field in SAME_FIELD for word in words.split()],
)
def test_an_option_of_another_framework(kind: str, word: str, field: str) -> None:
    assert suggest_argument(word, FIELDS[kind], kind).startswith(f"did you mean `{field}`?")


@pytest.mark.parametrize(
    "word",
    "Mish PixelShuffle pixel_shuffle depth_to_space MultiheadAttention attention scale Rescaling "
    "LSTM GRU Embedding DropPath drop_path Dropout2d SpatialDropout2D Permute Split Slice max Max "
    "Subtract Lambda RMSNorm Hardtanh Softplus share_nothing_like_it".split(),
)
def test_what_archspec_lacks_is_not_taken_for_another_layer(word: str) -> None:
    help = suggest_op(word, OPS)
    assert "did you mean" not in help
    assert help.endswith("`archspec ops` lists the ops")


def test_options_that_archspec_has_elsewhere_or_needs_not() -> None:
    for word in ("activation", "in_channels", "kernel_initializer", "data_format", "input_shape"):
        help = suggest_argument(word, FIELDS["conv"], "conv")
        assert not help.startswith(("did you mean", "known"))
    assert "step of its own" in suggest_op("Activation", OPS)


def test_a_block_of_the_spec_is_the_likelier_typo() -> None:
    assert suggest_op("dense_blok", OPS, ["dense_block"]) == "did you mean `dense_block`?"
    assert suggest_op("Dense", OPS, ["dense_block"]) == "did you mean `linear`?"
    nothing = suggest_op("blorp", OPS, ["unit"])
    assert nothing == "known blocks: `unit`; `archspec ops` lists the ops"


@pytest.mark.parametrize(
    ("sections", "mark", "help"),
    [
        ({"train": "{lr: 0.1}"}, "lr", "did you mean `learning_rate`?"),
        ({"train": "{batch_size: 8}"}, "batch_size", "did you mean `batch`?"),
        ({"train": "{optimizer: adam}"}, "adam", "did you mean `adamw`? without `weight_decay` it is Adam"),
        ({"train": "{schedule: cosine}"}, "cosine", "write `{kind: cosine}`"),
        ({"train": "{schedule: {kind: CosineAnnealingLR}}"}, "CosineAnnealingLR", "did you mean `cosine`?"),
        ({"train": "{precision: fp16}"}, "fp16", "did you mean `float16`?"),
        ({"heads": "{main: {loss: CrossEntropyLoss}}"}, "CrossEntropyLoss", "did you mean `cross_entropy`?"),
        ({"heads": "{main: {loss: BCEWithLogitsLoss}}"}, "BCEWithLogitsLoss", "did you mean `binary_cross_entropy`?"),
        ({"heads": "{main: {num_classes: 3}}"}, "num_classes", "did you mean `classes`?"),
        ({"preprocess": "{channels: grayscale}"}, "grayscale", "did you mean `gray`?"),
        ({"init": "{conv: {weight: kaiming_normal}}"}, "kaiming_normal", "did you mean `he_normal`?"),
        ({"init": "{Conv2D: {weight: he_normal}}"}, "Conv2D", "did you mean `conv`?"),
    ],
)  # fmt: skip
def test_keys_and_values_of_sections(sections: dict[str, str], mark: str, help: str) -> None:
    text = net("- {conv: {out: 3, kernel: 1}}", **sections)
    code = (
        "AS0203"
        if mark == "Conv2D"
        else "AS0202"
        if mark in ("lr", "batch_size", "num_classes")
        else "AS0204"
    )
    assert the(text, code, mark).help == help


@pytest.mark.parametrize(
    ("step", "mark", "help"),
    [
        ("{conv: {out: 3, kernel: 3, padding: SAME}}", "SAME", "did you mean `same`?"),
        ("{conv: {out: 3, kernel: 3, padding: half}}", "half", "did you mean `same`?"),
        ("{max_pool: {kernel: 2, rounding: CEIL}}", "CEIL", "did you mean `ceil`?"),
        ("{resize: {scale: 2, mode: bilinear, coordinates: half_pixel}}", "bilinear", "did you mean `linear`?"),
        ("{pad: {padding: 1, mode: edge}}", "edge", "did you mean `replicate`?"),
        ("{conv: {out: 3, kernel: 1}, init: {weight: glorot_uniform}}", "glorot_uniform", "did you mean `xavier_uniform`?"),
    ],
)  # fmt: skip
def test_values_of_options(step: str, mark: str, help: str) -> None:
    assert the(net(f"- {step}"), "AS0204", mark).help == help


def test_commands_know_the_words_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "Dense"]) == 2
    assert "did you mean `linear`?" in capsys.readouterr().err
    assert main(["explain-op", "MaxPool2d"]) == 2
    assert "did you mean `max_pool`?" in capsys.readouterr().err
    with pytest.raises(UnknownBackend) as caught:
        find("tensorflow")
    assert caught.value.help.startswith("did you mean `keras`?")


# The tables themselves


def test_every_word_of_ours_exists() -> None:
    fields = {name for names in FIELDS.values() for name in names}
    assert synonyms._OPS.keys() <= OPS.keys() | {"repeat"}
    assert synonyms._FIELDS.keys() <= fields
    assert not synonyms._NONE & {synonyms.fold(kind)[0] for kind in OPS}, "archspec has these now"


def test_the_words_of_others_are_folded() -> None:
    tables = (synonyms._OPS, synonyms._FIELDS, synonyms._KEYS, synonyms._VALUES)
    words = [word for table in tables for others in table.values() for word in others.split()]
    words += [*synonyms._NONE, *synonyms._ADVICE, *synonyms._REMARKS]
    assert [word for word in words if synonyms.fold(word)[0] != word] == []
    assert len(words) > 300


def test_a_word_of_ours_is_never_corrected() -> None:
    """What is valid elsewhere, and nearly so here, is still suggested by its likeness."""
    sections = [*Document.model_fields]
    assert suggest("netwrok", ["network", *sections]) == "did you mean `network`?"
    assert re.match("did you mean `stride`", suggest_argument("stridee", FIELDS["conv"], "conv"))
