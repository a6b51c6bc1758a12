"""The readers of source files, fed files that break the rules."""

import pytest

from tests.helpers import architecture

MODULES = {
    "archspec",
    "archspec.op",
    "archspec.graph",
    "archspec.spec",
    "archspec.spec.yaml",
    "archspec.cli",
    "archspec.new",
}
ORDER = ({"op"}, {"graph"}, {"spec", "weights"}, {"cli"})


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("op", "from archspec.graph import Graph"),
        ("op", "import archspec.graph"),
        ("op", "from archspec import graph"),
        ("op", "def f():\n    from archspec import cli"),
        (
            "graph",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from archspec.spec.yaml import read",
        ),
        ("spec", "from archspec.weights import load"),
        ("spec", "from archspec.new import thing"),
        ("spec", "from archspec import load"),
        ("spec", "from archspec import __version__"),
        ("spec", "import archspec"),
        ("graph", "from archspec.spec import load"),
        ("new", ""),
    ],
)
def test_an_import_against_the_order_is_found(module: str, source: str) -> None:
    assert architecture.against_the_order(f"archspec.{module}", source, ORDER, MODULES)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("graph", "from archspec.op import Op"),
        ("cli", "from archspec import graph, op"),
        (
            "spec",
            "from archspec.spec.yaml import read\nfrom archspec.spec import yaml\nimport archspec.op",
        ),
        ("spec.load", "from archspec.spec.yaml import read\nfrom archspec.spec import Spec"),
        ("cli", "from archspec.spec import Spec, load"),
        ("op", "import torch, os\nfrom archspec_torch import BACKEND"),
    ],
)
def test_an_import_along_the_order_is_not(module: str, source: str) -> None:
    assert not architecture.against_the_order(f"archspec.{module}", source, ORDER, MODULES)


@pytest.mark.parametrize(
    ("sources", "circle"),
    [
        (
            ["from archspec import b", "from archspec import c", "import archspec.a"],
            ["a", "b", "c"],
        ),
        (["from archspec import b", "def f():\n    from archspec.a import name", ""], ["a", "b"]),
        (["from archspec import b", "from archspec import c", ""], []),
    ],
)
def test_circles_are_found(sources: list[str], circle: list[str]) -> None:
    names = [f"archspec.{name}" for name in "abc"]
    modules = dict(zip(names, sources, strict=True))
    assert architecture.circles(modules) == [f"archspec.{name}" for name in circle]


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "import torch.nn as nn",
        "from keras.layers import Conv2D",
        "def f():\n    import onnx",
        "import archspec_torch",
        "from . import thing",
        "if TYPE_CHECKING:\n    import torch",
    ],
)
def test_a_framework_in_the_core_is_found(source: str) -> None:
    assert architecture.frameworks(source)


def test_other_packages_in_the_core_are_not() -> None:
    assert not architecture.frameworks(
        "import numpy, yaml\nfrom archspec.ir.op import Op\ntorch = 'torch'"
    )


@pytest.mark.parametrize(
    "module",
    ["archspec.frontend.yaml", "archspec.cli", "archspec", "archspec_keras", "archspec.graphics"],
)
def test_a_backend_that_reaches_too_far_is_found(module: str) -> None:
    assert architecture.foreign(
        f"import {module}", ["archspec_torch", "archspec.ir.graph"], MODULES
    )


@pytest.mark.parametrize(
    "module", ["archspec.ir.graph", "archspec_torch.lowerings.conv", "torch", "numpy"]
)
def test_a_backend_that_stays_at_home_is_not(module: str) -> None:
    assert not architecture.foreign(
        f"import {module}", ["archspec_torch", "archspec.ir.graph"], MODULES
    )


@pytest.mark.parametrize(
    "source",
    [
        "name = 'GoogLeNet'",
        "GOOGLENET = 1",
        "class GoogleNetBuilder: ...",
        "def f(google_net): ...",
        "def build_googlenet(): ...",
        "x.googlenet()",
        "f(googlenet=1)",
        "from specs import googlenet",
        "y = f'{a} of googlenet'",
        "path = 'specs/googlenet.yaml'",
        "def f():\n    '''Docs.'''\n    return 'Google-Net'",
    ],
)
def test_the_name_of_a_network_is_found(source: str) -> None:
    assert architecture.named_networks(source, {"googlenet"})


@pytest.mark.parametrize(
    "source",
    [
        "'''As GoogLeNet does.'''",
        "x = 1  # GoogLeNet",
        "class A:\n    b: int\n    '''GoogLeNet's.'''",
        "net = 'google'",
    ],
)
def test_prose_may_name_it(source: str) -> None:
    assert not architecture.named_networks(source, {"googlenet"})


def test_networks_are_named_by_their_files_and_by_themselves() -> None:
    specs = {"lenet5": "archspec: 1\nname: LeNet-5\n", "small-res": "name: Tiny\n"}
    assert architecture.network_names(specs) == {"lenet5", "smallres", "small", "tiny"}
