"""The network's class with an argument, held against the network that `--set` gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import archspec
from archspec.codegen.names import identifier
from tests.helpers.specs import written

COUNTS = (
    "$width",
    '"${2 * width}"',
    '"${width + growth}"',
    '"${max(width // 2, 3)}"',
    '"${12 if width > 9 else width}"',
    '"${in.channels + growth}"',
    "$in.channels",
    "12",
    "$growth",
)
WINDOWS = ("1", "3", "$kernel", '"${kernel + 1}"')
STEPS = (
    "conv: {{out: {count}, kernel: {window}, padding: {padding}}}",
    "conv: {{out: {count}, kernel: {window}, padding: {padding}, stride: $growth}}",
    'conv: {{out: "${{width * growth}}", kernel: 1, groups: {count}}}',
    "conv: {{out: $in.channels, kernel: 3, padding: 1, groups: $in.channels, bias: $flag}}",
    "conv_transpose: {{out: {count}, kernel: {window}, stride: 2}}",
    "unit: {{out: {count}}}",
    "unit: {{out: {count}, mid: {other}, window: {window}}}",
    "gate",
    "concat: {{a{n}: [{{conv: {{out: {count}, kernel: 1}}}}], b{n}: []}}",
    "add: {{a{n}: [{{conv: {{out: $in.channels, kernel: 1}}}}], b{n}: []}}",
    "repeat: {{times: {times}, as: i, body: [{{unit: {{out: {count}}}}}]}}",
    'repeat: {{times: 3, as: i, body: [{{conv: {{out: "${{width + i * growth}}", kernel: 1}}}}]}}',
    'when: "${{in.channels > 12}}"\n    relu: ',
    "max_pool: {{kernel: {window}, stride: 1, padding: {padding}}}",
    "avg_pool: {{kernel: {window}, stride: 2, padding: {padding}}}",
    "group_norm: {{groups: {count}, eps: $rate}}",
    "batch_norm: {{affine: $flag, eps: $rate}}",
    "leaky_relu: {{slope: $rate}}",
    "channel_shuffle: {{groups: $growth}}",
    "pad: {{padding: $growth}}",
    "crop: {{sides: $growth}}",
    "resize: {{scale: $growth, mode: nearest, coordinates: half_pixel}}",
    'resize: {{size: "${{max(width, 7)}}", mode: nearest, coordinates: half_pixel}}',
)
ENDS = (
    "flatten",
    "global_avg_pool\n  - flatten",
    "adaptive_avg_pool: {{size: $growth}}\n  - flatten",
)


@st.composite
def specs_with_arguments(draw: st.DrawFn) -> str:
    """Draw a spec most of whose values follow from its arguments, in one way or another."""

    def step(pattern: str, number: int) -> str:
        return pattern.format(
            n=number,
            count=draw(st.sampled_from(COUNTS)),
            other=draw(st.sampled_from(COUNTS)),
            window=draw(st.sampled_from(WINDOWS)),
            padding=draw(st.sampled_from(("0", "same", "symmetric", "same_lower"))),
            times=draw(st.sampled_from(("1", "2", "3", "$growth"))),
        )

    patterns = draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4))
    lines = [step(pattern, number) for number, pattern in enumerate(patterns)]
    lines += [step(draw(st.sampled_from(ENDS)), 9), step("linear: {{out: {count}}}", 10)]
    body = "\n  - ".join(lines)
    width, growth, kernel = (
        draw(st.integers(low, high)) for low, high in ((2, 12), (1, 3), (1, 5))
    )
    return f"""archspec: 1
name: net
input: [{draw(st.sampled_from(("3", "4", "$width")))}, 8, 8]
args: {{width: {width}, growth: {growth}, kernel: {kernel}, flag: true, rate: 0.25}}
blocks:
  unit:
    args:
      out: int
      mid: int = ${{out + growth}}
      window: int = {draw(st.sampled_from(("3", "${kernel}", "${2 * kernel - 1}")))}
    body:
      - conv: {{out: $mid, kernel: $window, padding: {draw(st.sampled_from(("0", "same")))}}}
      - relu
      - conv: {{out: $out, kernel: 1}}
  gate:
    args: {{hidden: "int = ${{max(width // 4, 2)}}"}}
    body:
      - multiply:
          x: []
          g: [global_avg_pool, {{conv: {{out: $hidden, kernel: 1}}}}, {{conv: {{out: 1, kernel: 1}}}}]
network:
  - {body}
"""


Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Framework:
    """How a framework's emitted file is used.

    `build` makes the network from the file's text and arguments. `shapes` are a model's tensors by
    name, `copy` gives one model the tensors of another, `run` returns its outputs.
    """

    parameters: Callable[[str], Mapping[str, inspect.Parameter]]
    build: Callable[[str, Mapping[str, Any]], Any]
    shapes: Callable[[Any], Shapes]
    copy: Callable[[Any, Any], None]
    run: Callable[[Any, tuple[int, ...]], Sequence[Any]]
    source: Callable[[Any], str]


def check_arguments(text: str, framework: Framework, values: Callable[[Any], Sequence[Any]]) -> int:
    """Compare the class with every other network that its arguments can give; return how many.

    `values` returns the values to try of an argument with that default.
    """
    compared = 0
    with written(text) as path:
        if archspec.check(path)[0] is None:
            return 0
        emitted = framework.source(archspec.load(path).graph)
        for param, name, default in _offered(emitted, archspec.load(path).args, framework):
            for value in values(default):
                spec, _ = archspec.check(path, **{name: value})
                if spec is None or value == default:
                    continue
                _compare(framework, emitted, spec.graph, {param: value})
                compared += 1
    return compared


def _offered(
    emitted: str, args: Mapping[str, Any], framework: Framework
) -> Iterator[tuple[str, str, Any]]:
    """Yield the parameters of the network: its name, the spec's name, and its default."""
    names = {identifier(name, digit="n"): name for name in args}
    for param in framework.parameters(emitted).values():
        if param.name in names:
            assert param.default == args[names[param.name]]
            yield param.name, names[param.name], param.default


def _compare(framework: Framework, emitted: str, graph: Any, given: Mapping[str, Any]) -> None:
    ours = framework.build(emitted, given)
    expected = framework.build(framework.source(graph), {})
    assert framework.shapes(ours) == framework.shapes(expected), given
    framework.copy(ours, expected)
    outputs = framework.run(ours, graph.input), framework.run(expected, graph.input)
    for one, other in zip(*outputs, strict=True):
        assert np.array_equal(one, other, equal_nan=True), given


def torch_framework() -> Framework:
    """Return torch, as a user of the emitted class sees it."""
    import torch

    from tests.helpers.emitted import run_source, source

    def build(text: str, given: Mapping[str, Any]) -> Any:
        torch.manual_seed(0)
        return type(run_source(text).build_model())(**given).eval()

    def run(model: Any, shape: tuple[int, ...]) -> Sequence[Any]:
        x = torch.linspace(-2, 2, 2 * int(np.prod(shape))).reshape(2, *shape)
        with torch.no_grad():
            result = model(x)
        parts = result if isinstance(result, tuple) else (result,)
        return [part.numpy() for part in parts if part is not None]

    def parameters(text: str) -> Mapping[str, inspect.Parameter]:
        network = type(run_source(text).build_model())
        init: Any = network.__init__
        return inspect.signature(init).parameters

    def shapes(model: Any) -> Shapes:
        return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}

    def copy(model: Any, other: Any) -> None:
        other.load_state_dict(model.state_dict())

    return Framework(parameters, build, shapes, copy, run, source)


def keras_framework() -> Framework:
    """Return Keras, as a user of the emitted function sees it."""
    import keras

    from archspec_keras import BACKEND
    from tests.helpers.emitted import ABOUT, run_source

    def network(text: str) -> Any:
        module = run_source(text)
        return getattr(
            module, text[: text.index(") -> keras.Model:")].split("def ")[-1].split("(")[0]
        )

    def build(text: str, given: Mapping[str, Any]) -> Any:
        keras.utils.set_random_seed(0)
        return network(text)(**given)

    def run(model: Any, shape: tuple[int, ...]) -> Sequence[Any]:
        shape = (*shape[1:], shape[0])
        x = np.linspace(-2, 2, 2 * int(np.prod(shape)), dtype=np.float32).reshape(2, *shape)
        result = model(x, training=False)
        parts = result if isinstance(result, list) else [result]
        return [keras.ops.convert_to_numpy(part) for part in parts]

    def shapes(model: Any) -> Shapes:
        return {
            f"{layer.name}.{weight.name}": tuple(weight.shape)
            for layer in model.layers
            for weight in layer.weights
        }

    def copy(model: Any, other: Any) -> None:
        other.set_weights(model.get_weights())

    def parameters(text: str) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(network(text)).parameters

    def source(graph: Any) -> str:
        return BACKEND.emit(graph, ABOUT)["model.py"].decode()

    return Framework(parameters, build, shapes, copy, run, source)
