"""Models of installed libraries by their names: our networks with their weights give their outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch

import archspec
from archspec import weights
from archspec.diagnostics import Failure, UsageError
from archspec.frontend.loader import Spec
from archspec.weights.library import parse_library_model
from archspec.weights.weight_source import WeightSource
from tests.helpers import torchvision_cpu
from tests.helpers.specs import checked

FIRES = {3: 16, 4: 16, 6: 32, 7: 32, 9: 48, 10: 48, 11: 64, 12: 64}
"""SqueezeNet 1.1: the squeezed width of each fire module, by its place among the features."""


def squeezenet() -> Spec:
    pool = "  - max_pool: {kernel: 3, stride: 2, rounding: ceil}\n"
    fires = "".join(
        f"{pool if n in (6, 9) else ''}  - {{name: fire{n}, fire: {{s: {s}}}}}\n"
        for n, s in FIRES.items()
    )
    return checked(f"""archspec: 1
name: squeezenet
input: [3, 64, 64]
blocks:
  fire:
    args: {{s: int}}
    body:
      - {{name: squeeze, conv: {{out: $s, kernel: 1}}}}
      - relu
      - concat:
          one: [{{name: conv, conv: {{out: "${{4 * s}}", kernel: 1}}}}, relu]
          three: [{{name: conv, conv: {{out: "${{4 * s}}", kernel: 3, padding: 1}}}}, relu]
network:
  - {{name: first, conv: {{out: 64, kernel: 3, stride: 2}}}}
  - relu
{pool}{fires}  - {{name: last, conv: {{out: 1000, kernel: 1}}}}
  - relu
  - global_avg_pool
  - flatten
""")


MAPPING = f"""prefix: ""
where:
  n: [{", ".join(map(str, FIRES))}]
  conv: {{squeeze: squeeze, expand1x1: one.conv, expand3x3: three.conv}}
  role: [weight, bias]
rules:
  "features.0.{{role}}": "first.{{role}}"
  "features.{{n}}.{{conv}}.{{role}}": "fire{{n}}.{{conv}}.{{role}}"
  "classifier.1.{{role}}": "last.{{role}}"
"""


def test_a_model_of_torchvision(tmp_path: Path) -> None:
    library = torchvision_cpu.load()
    (tmp_path / "map.yaml").write_text(MAPPING)
    spec = squeezenet()
    torch.manual_seed(5)
    theirs = library.models.squeezenet1_1(weights=None).eval()
    torch.manual_seed(5)
    source = "torchvision:squeezenet1_1@none"
    weights.convert(source, tmp_path / "w.safetensors", spec, mapping=str(tmp_path / "map.yaml"))
    ours = archspec.build(spec, backend="torch", weights=tmp_path / "w.safetensors").eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs(x), atol=1e-6)


def test_a_name_that_the_network_has_not_is_in_the_help(tmp_path: Path) -> None:
    torchvision_cpu.load()
    (tmp_path / "map.yaml").write_text(MAPPING.replace("one.conv", "won.conv"))
    with pytest.raises(weights.CheckpointError) as caught:
        weights.load(
            "torchvision:squeezenet1_1@none", squeezenet(), mapping=str(tmp_path / "map.yaml")
        )
    assert (
        caught.value.help == "the mapping gives `fire3.won.conv.weight`, which the network has not"
    )


def mobilenet() -> Spec:
    """The layers of MobileNet under the names that Keras gives them."""

    def layer(name: str, out: int, kernel: int, **more: Any) -> str:
        fields = {"out": out, "kernel": kernel, "bias": "false", **more}
        written = ", ".join(f"{key}: {value}" for key, value in fields.items())
        return (
            f"  - {{name: {name}, conv: {{{written}}}}}\n"
            f"  - {{name: {name}_bn, batch_norm: {{eps: 0.001}}}}\n  - relu6\n"
        )

    widths = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    text, inward = layer("conv1", 32, 3, stride=2, padding="same"), 32
    for number, width in enumerate(widths, start=1):
        strided = {"stride": 2, "padding": "[[0, 1], [0, 1]]"} if number in (2, 4, 6, 12) else {}
        depthwise: dict[str, Any] = {"padding": 1, **strided, "groups": inward}
        text += layer(f"conv_dw_{number}", inward, 3, **depthwise)
        text += layer(f"conv_pw_{number}", width, 1)
        inward = width
    end = "  - global_avg_pool\n  - {name: conv_preds, conv: {out: 1000, kernel: 1}}\n  - flatten\n"
    return checked(
        f"archspec: 1\nname: mobilenet\ninput: [3, 224, 224]\nnetwork:\n{text}{end}  - softmax\n"
    )


def test_a_model_of_keras_applications(tmp_path: Path) -> None:
    spec = mobilenet()
    keras.utils.set_random_seed(5)
    applications: Any = keras.applications
    theirs = applications.MobileNet(weights=None)
    keras.utils.set_random_seed(5)
    loaded = weights.load_from(WeightSource(Path("keras.applications:MobileNet@none")), spec)
    assert loaded.notes == ("read by keras's own names",)
    weights.save(tmp_path / "w.safetensors", loaded.tensors, spec)
    ours = archspec.build(spec, backend="torch", weights=tmp_path / "w.safetensors").eval()
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32)
    expected = np.asarray(theirs(np.moveaxis(x, 1, -1), training=False))
    with torch.no_grad():
        found = ours(torch.from_numpy(x)).numpy()
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("torchvision:squeezenet1_2@none", UsageError, "known models: `squeezenet1_"),
        ("torchvision:squeezenet1_1@BEST", Failure, "torchvision does not give `squeezenet1_1`"),
        ("keras.applications:MobileNt", UsageError, "did you mean `MobileNet`"),
        ("keras.applications:MobileNet@coco", UsageError, "known are `default` and `none`"),
        ("timm:resnet18", weights.CheckpointError, "no kind of weights"),
    ],
)
def test_what_no_library_has_is_told(source: str, error: type[Exception], message: str) -> None:
    torchvision_cpu.load()
    with pytest.raises(error, match=message):
        weights.load(source, squeezenet())


def test_weights_are_the_trained_ones_where_none_are_named() -> None:
    assert parse_library_model("torchvision:alexnet") == ("torchvision", "alexnet", "default")
    assert parse_library_model("models/alexnet.pth") is None
    assert parse_library_model("torchvision:a:b") is None
