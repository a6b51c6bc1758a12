"""`Network(width=32)` is the network of `--set width=32`, or the class has no `width`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.conformance.profile import examples
from archspec.conformance.specs import specs
from tests.helpers.arguments import (
    Framework,
    check_arguments,
    keras_framework,
    specs_with_arguments,
    torch_framework,
)
from tests.helpers.specs import checked

FRAMEWORKS = {"torch": torch_framework, "keras": keras_framework}


@pytest.fixture(scope="module", params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> Framework:
    return FRAMEWORKS[request.param]()


def other_values(default: Any) -> Sequence[Any]:
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, float):
        return [default / 2, default + 0.125]
    return [default + 1, 2 * default, 1, default - 1, 3 * default + 2]


def offered(text: str, framework: Framework) -> set[str]:
    parameters = framework.parameters(framework.source(checked(text).graph))
    return set(parameters) - {"self", "train"}


HEAD = "archspec: 1\nname: net\n"

OFFERED = {
    "a default is an expression": (
        """input: [3, 8, 8]
args: {classes: 10}
blocks:
  tail:
    args: {hidden: "int = ${2 * classes}", out: "int = ${hidden + 1}"}
    body: [{linear: {out: $hidden}}, {linear: {out: $out}}, {linear: {out: $classes}}]
network: [flatten, {name: tail, tail: }]
""",
        {"classes"},
    ),
    "a default of a block within a block": (
        """input: [3, 8, 8]
args: {width: 6}
blocks:
  inner: {args: {width: "int = ${width // 2}", out: "int = ${width + 1}"}, body: [{conv: {out: $out, kernel: 1}}, relu]}
  outer: {args: {width: "int = 5"}, body: [{inner: }, {inner: {width: $width}}]}
network: [{outer: }, {outer: {width: "${width * 3}"}}]
""",
        {"width"},
    ),
    "channels that meet a flatten and a merge": (
        """input: [3, 6, 6]
args: {width: 8}
network:
  - {name: stem, conv: {out: $width, kernel: 3, padding: 1}}
  - add: {a: [{conv: {out: $in.channels, kernel: 1}}], b: []}
  - concat: {c: [{conv: {out: "${width // 2}", kernel: 1}}], d: [{max_pool: {kernel: 1}}]}
  - flatten
  - linear: {out: 4}
""",
        {"width"},
    ),
    "a window without padding": (
        """input: [3, 9, 9]
args: {kernel: 3, stride: 2}
network:
  - conv: {out: 4, kernel: $kernel, stride: $stride}
  - global_avg_pool
  - flatten
""",
        {"kernel", "stride"},
    ),
    "flags and rates": (
        """input: [3, 9, 9]
args: {bias: true, eps: 0.25}
network:
  - conv: {out: 4, kernel: 3, bias: $bias}
  - batch_norm: {eps: $eps, affine: $bias}
""",
        {"eps"},
    ),
}


@pytest.mark.parametrize("name", OFFERED)
def test_an_argument_that_can_be_a_parameter_is_one(name: str, framework: Framework) -> None:
    text, names = OFFERED[name]
    assert names <= offered(HEAD + text, framework)
    assert check_arguments(HEAD + text, framework, other_values) >= len(names)


# Each names the argument that the class must not have.
NOT_OFFERED = {
    "a width that another count follows": (
        """input: [8, 6, 6]
args: {cardinality: 4}
network: [{conv: {out: 16, kernel: 1, groups: $cardinality}}, {conv: {out: "${(16 // cardinality if cardinality > 2 else 8) * cardinality + 0 * in.height}", kernel: 1}}]
"""
    ),
    "sizes that a linear layer counts": (
        """input: [3, 12, 12]
args: {stride: 2}
network: [{conv: {out: 4, kernel: 3, stride: $stride, padding: 1}}, flatten, {linear: {out: 2}}]
"""
    ),
    "a step that exists for some values only": (
        """input: [3, 8, 8]
args: {width: 8}
network: [{conv: {out: $width, kernel: 1}}, {when: "${width > 100}", relu: }, {linear: {out: 2, axis: channels}}]
""".replace("{linear: {out: 2, axis: channels}}", "{conv: {out: 2, kernel: 1}}")
    ),
    "a step that depends on channels": (
        """input: [3, 8, 8]
args: {width: 8}
blocks:
  unit: {args: [out], body: [{when: "${in.channels != out}", conv: {out: $out, kernel: 1}}, relu]}
network: [{conv: {out: $width, kernel: 1}}, {unit: {out: 64}}]
"""
    ),
    "how often a block is repeated": (
        """input: [3, 8, 8]
args: {times: 3}
network: [{repeat: {times: $times, body: [{conv: {out: 3, kernel: 1}}, relu]}}]
"""
    ),
    "a bound far away": (
        """input: [3, 8, 8]
args: {size: 3}
network: [{resize: {size: "${max(size, 7)}", mode: nearest, coordinates: asymmetric}}, {conv: {out: "${size + 1}", kernel: 1}}, flatten, {linear: {out: 2}}]
"""
    ),
    "a head that is there for some values": (
        """input: [3, 8, 8]
args: {width: 8}
network: [{name: c, conv: {out: $width, kernel: 1}}, relu]
heads: {side: {from: c, only: "${'train' if width > 100 else 'train'}", loss: none}, main: {loss: none}}
"""
    ),
}


def test_a_kernel_whose_padding_depends_on_its_parity_is_offered_by_keras_alone() -> None:
    text = (
        HEAD
        + """input: [3, 9, 9]
args: {kernel: 4}
network: [{conv: {out: 4, kernel: $kernel, padding: same}}]
"""
    )
    assert offered(text, torch_framework()) == set()
    assert offered(text, keras_framework()) == {"kernel"}
    assert check_arguments(text, keras_framework(), other_values)


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_an_argument_that_decides_more_is_no_parameter(name: str, framework: Framework) -> None:
    assert offered(HEAD + NOT_OFFERED[name], framework) == set()


ANY_SPEC = specs_with_arguments() | specs(ranks=(2, 1, 0)).map(lambda spec: spec.text)
ANY_VALUES = st.tuples(st.integers(1, 12), st.integers(0, 40))


def drawn_values(numbers: tuple[int, int]) -> Callable[[Any], Sequence[Any]]:
    return lambda default: numbers if type(default) is int else other_values(default)[:1]


@examples(16)
@given(ANY_SPEC, ANY_VALUES)
def test_a_class_of_any_spec_is_the_network_of_its_arguments(
    text: str, numbers: tuple[int, int]
) -> None:
    check_arguments(text, torch_framework(), drawn_values(numbers))


@examples(4)
@given(ANY_SPEC, ANY_VALUES)
def test_a_keras_function_of_any_spec_is_the_network_of_its_arguments(
    text: str, numbers: tuple[int, int]
) -> None:
    check_arguments(text, keras_framework(), drawn_values(numbers))


@pytest.mark.parametrize("fault", ["another shape", "another function"])
def test_a_class_that_is_another_network_is_caught(fault: str) -> None:
    framework = torch_framework()
    wrong = {
        "another shape": ("2 * classes", "20"),
        "another function": ("eps=eps", "eps=0.25"),
    }[fault]
    text = """input: [4]
args: {classes: 10, eps: 0.25}
network: [{linear: {out: "${2 * classes}"}}, {layer_norm: {eps: $eps}}, {linear: {out: $classes}}]
"""
    source = framework.source
    first = iter([wrong])  # the class is wrong, the networks that it is compared with are not
    caught = replace(framework, source=lambda graph: source(graph).replace(*next(first, ("", ""))))
    with pytest.raises(AssertionError):
        check_arguments(HEAD + text, caught, other_values)
