"""Words of other frameworks and papers for ops, options, keys and values, as help for a typo.

>>> suggest("MaxPooling2D", ["conv", "max_pool", "avg_pool"])
'did you mean `max_pool`?'
>>> suggest("out_channels", ["out", "kernel"])
'did you mean `out`?'
>>> suggest_op("mish", ["relu", "silu"])
'archspec has none; `archspec ops` lists the ops'

The tables list words folded as `fold` does. A word may stand for several of ours: the first that is
valid in its place is meant.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from itertools import islice

from archspec.diagnostics import did_you_mean, quote

MAX_COMPARED = 500
"""The names that one unknown name is compared with: a spec may declare very many."""

_OPS = {
    "conv": "convolution convolve convlayer depthwiseconv depthwiseconvolution pointwiseconv",
    "conv_transpose": (
        "convtransposed transposedconv transposedconvolution transposeconv deconv deconvolution "
        "upconv upconvolution fractionallystridedconv convolutiontranspose"
    ),
    "linear": "dense fc fullyconnected innerproduct gemm affine ip addmm denselayer",
    "max_pool": "maxpooling mp maxpoollayer pooling pool",
    "avg_pool": "avgpooling averagepool averagepooling meanpool meanpooling ap",
    "global_avg_pool": (
        "gap globalavgpooling globalaveragepool globalaveragepooling globalpool globalpooling"
    ),
    "global_max_pool": "gmp globalmaxpooling",
    "adaptive_avg_pool": "adaptiveavgpooling adaptiveaveragepool adaptiveaveragepooling",
    "adaptive_max_pool": "adaptivemaxpooling",
    "batch_norm": "bn batchnormalization batchnormalisation syncbatchnorm",
    "layer_norm": "ln layernormalization layernormalisation",
    "group_norm": "gn groupnormalization groupnormalisation",
    "instance_norm": "instancenormalization instancenormalisation",
    "lrn": "localresponsenorm localresponsenormalization localresponsenormalisation localnorm",
    "relu": "rectifiedlinear rectifiedlinearunit rectifier rectify",
    "leaky_relu": "lrelu leakyrectify leaky",
    "prelu": "parametricrelu",
    "elu": "exponentiallinearunit",
    "silu": "swish",
    "sigmoid": "logistic sigm",
    "tanh": "hyperbolictangent",
    "hard_sigmoid": "hsigmoid",
    "hard_swish": "hswish hardsilu",
    "softmax": "softmaxlayer",
    "dropout": "drop dropoutlayer",
    "flatten": "flat ravel vectorize",
    "reshape": "view unflatten",
    "identity": "noop passthrough nop",
    "pad": "padding zeropad zeropadding reflectionpad replicationpad constantpad",
    "crop": "cropping centercrop centrecrop",
    "resize": (
        "upsample upsampling interpolate interpolation upscale resizebilinear upsamplingbilinear"
    ),
    "channel_shuffle": "shufflechannel shufflechannels shuffle",
    "concat": "concatenate cat route depthconcat filterconcat concatenation concatlayer",
    "add": "sum eltwise elementwiseadd elementwisesum shortcut residual plus addition",
    "multiply": "mul product times elementwisemul elementwiseproduct mult",
    "repeat": "loop foreach stack",
}
_FIELDS = {
    "out": (
        "filters outchannels outchannel units outfeatures numoutput nout channels width features "
        "nfilters numfilters numfilter outputchannels outputs nodes neurons cout outplanes planes"
    ),
    "kernel": (
        "kernelsize kernelshape poolsize filtersize ksize window windowsize size k kernels "
        "receptivefield"
    ),
    "stride": "strides step subsample subsampling s stepsize",
    "padding": "pad pads border autopad paddings bordermode p",
    "dilation": "dilationrate dilations rate atrous dilate",
    "groups": "group numgroups ngroups cardinality",
    "bias": "usebias biasterm withbias hasbias",
    "rounding": "ceilmode",
    "slope": "negativeslope alpha leak leakiness",
    "alpha": "negativeslope",
    "rate": "p prob probability dropprob dropoutprob dropoutratio ratio keepprob droprate",
    "size": "outputsize outsize targetsize localsize n newshape",
    "scale": "scalefactor factor upscalefactor zoom",
    "mode": "interpolation interp method",
    "coordinates": "aligncorners coordinatetransformationmode halfpixelcenters",
    "to": "shape targetshape newshape",
    "eps": "epsilon ",
    "affine": "center elementwiseaffine learnable scale useaffine",
    "sides": "cropping border",
    "count_include_pad": "countincludepadding includepad",
    "output_padding": "outpadding outputpad",
    "k": "bias",
}
_KEYS = {
    "network": "layers model architecture backbone net graph sequential",
    "input": "inputshape inputs inputsize inputdim inputlayer imagesize",
    "args": "variables params parameters hyperparameters constants arguments",
    "blocks": "modules components definitions functions macros",
    "labels": "classnames names categories classes",
    "train": "training recipe solver optimizer hyp",
    "heads": "outputs output losses head",
    "extends": "base inherits parent inherit from",
    "preprocess": "preprocessing normalize normalization transform transforms",
    "init": "initializer initializers initialization weightinit",
    "source": "paper reference citation",
    "times": "n count repeats number num",
    "body": "layers steps block do",
    "as": "index counter var variable",
    "from": "inputs inbound bottom bottoms",
    "name": "id label",
    "when": "if condition enabled",
    "rows": "layers cells data",
    "columns": "header headers titles",
    "learning_rate": "lr baselr initiallr learningrateinit alpha",
    "batch": "batchsize bs minibatch",
    "epochs": "numepochs nepochs maxepochs epoch",
    "weight_decay": "wd decay l2",
    "schedule": "scheduler lrscheduler lrschedule lrpolicy lrdecay",
    "clip_norm": "gradclip clipgrad gradientclipping maxgradnorm clipgradnorm",
    "label_smoothing": "smoothing labelsmooth",
    "lr_multipliers": "lrmult paramgroups lrscale",
    "precision": "amp mixedprecision dtype",
    "average": "ema swa",
    "betas": "beta beta1",
    "warmup": "warmupepochs",
    "every": "stepsize period",
    "factor": "gamma",
    "final": "etamin minlr",
    "accumulate": "accumulationsteps gradaccum gradientaccumulation",
    "loss": "criterion lossfunction objective",
    "weight": "lossweight coefficient",
    "classes": "numclasses nclasses nc",
    "flip": "horizontalflip randomhorizontalflip hflip mirror",
    "mean": "means pixelmean meanvalue",
    "std": "stds stdev pixelstd variance",
    "scale": "rescale",
    "channels": "colormode colorspace",
    "resize": "imagesize shorterside",
    "augment": "augmentation augmentations dataaugmentation",
}
_VALUES = {
    "same": "sameupper half",
    "valid": "none zero notset",
    "same_lower": "lower",
    "symmetric": "half full",
    "linear": "bilinear trilinear",
    "bilinear": "linear",
    "bicubic": "cubic",
    "area": "box",
    "ceil": "up",
    "floor": "down",
    "reflect": "mirror symmetric",
    "replicate": "edge nearest",
    "constant": "zeros zero",
    "cross_entropy": (
        "crossentropyloss categoricalcrossentropy sparsecategoricalcrossentropy softmaxloss nll "
        "nllloss softmaxwithloss ce softmaxcrossentropy"
    ),
    "binary_cross_entropy": (
        "bce bceloss bcewithlogits bcewithlogitsloss binarycrossentropyloss sigmoidcrossentropy"
    ),
    "mse": "mseloss meansquarederror l2 l2loss euclideanloss",
    "adamw": "adam",
    "sgd": "momentum nesterov",
    "xavier_uniform": "glorotuniform xavier glorot",
    "xavier_normal": "glorotnormal",
    "he_uniform": "kaiminguniform",
    "he_normal": "kaimingnormal msra kaiming he",
    "step": "steplr multistep exponential",
    "cosine": "cosineannealing cosineannealinglr cosinedecay",
    "poly": "polynomial polynomialdecay",
    "gray": "grayscale grey l greyscale",
    "float16": "fp16 half",
    "bfloat16": "bf16",
    "float32": "fp32 single",
    "rgb": "color",
    "keras": "tensorflow tf jax flax",
    "torch": "pytorch",
    "onnx": "onnxruntime ort",
}
_REMARKS = {
    "depthwiseconv": "with `groups: $in.channels`",
    "depthwiseconvolution": "with `groups: $in.channels`",
    "pointwiseconv": "with `kernel: 1`",
    "pooling": "`avg_pool` is the other kind",
    "pool": "`avg_pool` is the other kind",
    "reflectionpad": "with `mode: reflect`",
    "replicationpad": "with `mode: replicate`",
    "ceilmode": "`rounding: ceil` is `ceil_mode=True`",
    "aligncorners": "`coordinates: align_corners` is `align_corners=True`",
    "keepprob": "it is the share that is dropped, 1 - keep_prob",
    "adam": "without `weight_decay` it is Adam",
    "tensorflow": "`KERAS_BACKEND=tensorflow` chooses its engine",
    "jax": "`KERAS_BACKEND=jax` chooses its engine",
}
_NONE = frozenset(
    "mish pixelshuffle pixelunshuffle depthtospace spacetodepth subpixel attention "
    "multiheadattention selfattention scaleddotproductattention scale rescale rescaling layerscale "
    "lstm gru rnn simplernn convlstm bidirectional embedding droppath stochasticdepth dropconnect "
    "dropout1d dropout2d dropout3d spatialdropout spatialdropout1d spatialdropout2d "
    "spatialdropout3d alphadropout gaussiannoise gaussiandropout softplus softsign lambda permute "
    "transpose split slice subtract maximum max minimum min average mean reduce reducemean "
    "rmsnorm weightnorm spectralnorm maxunpool maxunpooling celu hardtanh threshold glu geglu "
    "swiglu clip positionembedding positionalencoding classtoken squeeze unsqueeze roll matmul "
    "divide div pow share separableconv localconv locallyconnected".split()
)
"""Layers that archspec lacks, for which a similar word would be another layer."""
_LIST = "`archspec ops` lists the ops"
_ADVICE = {
    **dict.fromkeys(
        ("activation", "act", "nonlinearity", "activationfn", "actlayer"),
        "an activation is a step of its own, as in `- relu`",
    ),
    **dict.fromkeys(
        ("norm", "normlayer", "batchnorm", "bn", "normalizer"),
        "a normalisation is a step of its own, as in `- batch_norm`",
    ),
    **dict.fromkeys(
        ("inchannels", "infeatures", "inputchannels", "cin", "inplanes", "numinputs", "inputdim"),
        "leave it out: archspec counts what enters",
    ),
    **dict.fromkeys(
        ("kernelinitializer", "biasinitializer", "weightfiller", "biasfiller", "initializer"),
        "state initial values under `init`, beside the op",
    ),
    **dict.fromkeys(
        ("dataformat", "channelslast", "channelsfirst", "axis"),
        "leave it out: a spec is channels first, and each backend has its own order",
    ),
    **dict.fromkeys(("inputshape", "batchinputshape"), "state the shape once, under `input`"),
    **dict.fromkeys(("logsoftmax",), "leave it out: a class loss takes the values before it"),
}
"""What to do about options of other frameworks that no option of ours is for."""


@lru_cache(maxsize=2**12)
def fold(name: str) -> tuple[str, str]:
    """Return a name without case, signs and module, and that without `2d` and the like.

    >>> fold("nn.Conv2d"), fold("kernel_size")
    (('conv2d', 'conv'), ('kernelsize', 'kernelsize'))
    """
    text = unicodedata.normalize("NFKC", name[:80]).lower().rpartition(".")[2]
    whole = re.sub(r"[^a-z0-9]", "", text)
    return whole, re.sub(r"(?<=[a-z])[123]d", "", whole)


def _index(*tables: Mapping[str, str]) -> dict[str, list[str]]:
    """Return our words by others' word."""
    ours: dict[str, list[str]] = {}
    for table in tables:
        for word, others in table.items():
            for other in others.split():
                ours.setdefault(other, []).append(word)
    return ours


_OURS = _index(_OPS, _FIELDS, _KEYS, _VALUES)


def suggest(name: str, valid: Iterable[str], what: str = "") -> str:
    """Return the help for an unknown name: the valid one that it stands for, or a near one."""
    names = [*islice(valid, MAX_COMPARED)]
    return _alike(name, names) or _synonym(name, names) or did_you_mean(name, names, what)


def suggest_argument(name: str, valid: Collection[str], kind: str) -> str:
    """Return the help for an option that the op or block `kind` does not have."""
    whole, _ = fold(name)
    names = [*islice(valid, MAX_COMPARED)]
    hint = _alike(name, names) or _synonym(name, names) or _ADVICE.get(whole)
    return hint or did_you_mean(name, names, f"arguments of {kind[:40]}")


def suggest_op(
    name: str, ops: Iterable[str], blocks: Iterable[str] = (), others: Iterable[str] = ()
) -> str:
    """Return the help for an unknown op or block; `others` may stand in its place too."""
    blocks = [*islice(blocks, MAX_COMPARED)]
    names = [*blocks, *ops, *others]
    whole, short = fold(name)
    own = did_you_mean(name, blocks)
    if own.startswith("did you mean"):
        return own
    is_none = whole in _NONE or short in _NONE
    hint = "" if is_none else _alike(name, names)
    hint = hint or _synonym(name, names) or _ADVICE.get(whole, "")
    if hint:
        return hint
    if is_none:
        return f"archspec has none; {_LIST}"
    near = did_you_mean(name, names)
    if near.startswith("did you mean"):
        return near
    return f"{did_you_mean(name, blocks, 'blocks')}; {_LIST}" if blocks else _LIST


def advice(name: str) -> str:
    """Return what to do about an option of other frameworks that stands beside an op."""
    return _ADVICE.get(fold(name)[0], "")


def _alike(name: str, names: Iterable[str]) -> str:
    """Return the help for a name that is spelt in another way, such as `ReLU` and `Conv2D`."""
    spellings = fold(name)
    alike = (other for spelling in spellings for other in names if fold(other)[0] == spelling)
    other = next(alike, "") if spellings[0] else ""
    return f"did you mean {quote(other)}?" if other else ""


def _synonym(name: str, names: Collection[str]) -> str:
    whole, short = fold(name)
    words = (word for folded in (whole, short) for word in _OURS.get(folded, ()))
    word = next((word for word in words if word in names), "")
    if not word:
        return ""
    remark = _REMARKS.get(whole) or _REMARKS.get(short) or ""
    return f"did you mean {quote(word)}? {remark}".rstrip()
