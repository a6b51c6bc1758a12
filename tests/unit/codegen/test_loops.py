"""Repeats: one loop if the iterations are alike, whatever their number; a list if they are not."""

from __future__ import annotations

from tests.unit.codegen.test_classes import assigned, classes, parameters
from tests.unit.torch.test_forward import computed

DENSE = """input: [3, 8, 8]
blocks:
  layer:
    args: [growth]
    body:
      - concat: {old: [], new: [{batch_norm: ~}, {conv: {out: $growth, kernel: 3, padding: 1}}]}
  dense:
    args: [layers, growth]
    body: [{name: stack, repeat: {times: $layers, body: [{layer: {growth: $growth}}]}}, relu]
network:
  - {name: a, dense: {layers: 4, growth: 2}}
  - {name: b, dense: {layers: 3, growth: GROWTH}}
"""


def test_channels_that_grow_are_a_loop_in_the_blocks_words() -> None:
    for growth in ("2", "5"):  # equal in both instances, or not
        found = classes(computed(DENSE.replace("GROWTH", growth)))
        assert list(found) == ["Layer", "Dense", "Net"]
        assert assigned(found["Dense"])["stack"] == (
            "nn.Sequential(*(Layer(in_channels + i * growth, growth) for i in range(layers)))"
        )
        assert assigned(found["Net"])["b"] == f"Dense(11, 3, {growth})"


def test_the_first_iteration_may_be_of_another_structure() -> None:
    text = """input: [3, 16, 16]
blocks:
  unit:
    args: {out: int, stride: int = 1}
    body:
      - add:
          body: [{conv: {out: $out, kernel: 3, stride: $stride, padding: 1}}, batch_norm]
          short:
            - when: "${stride > 1 or in.channels != out}"
              conv: {out: $out, kernel: 1, stride: $stride}
      - relu
  stage:
    args: [out, blocks]
    body:
      - repeat:
          times: $blocks
          as: i
          body: [{unit: {out: $out, stride: "${2 if i == 0 else 1}"}}]
network: [{stage: {out: 4, blocks: 3}}, {name: b, stage: {out: 6, blocks: 5}}]
"""
    found = classes(computed(text))
    assert parameters(found["Stage"]) == ["in_channels: int", "out: int", "blocks: int"]
    assert assigned(found["Stage"])["repeat"] == (
        "nn.Sequential(Unit(in_channels, out, stride=2),"
        " *(Unit2(out, out) for _ in range(blocks - 1)))"
    )


def test_a_counter_is_the_loops_own() -> None:
    text = """input: [2, 5, 5]
network:
  - {name: r, repeat: {times: 4, as: k, body: [{conv: {out: "${2 + 3 * k}", kernel: 1}}, tanh]}}
"""
    found = classes(computed(text))
    # 2, 2, 5, 8 enter: the first stands by itself, and the others grow by 3.
    assert assigned(found["Net"])["r"].startswith(
        "nn.Sequential(nn.Sequential(OrderedDict(conv=nn.Conv2d(2, 2, 1), tanh=nn.Tanh())), *("
    )
    assert assigned(found["Net"])["r"].endswith("for i in range(1, 4)))")


def test_iterations_without_a_rule_are_listed() -> None:
    text = """input: [2, 5, 5]
network:
  - {name: r, repeat: {times: 4, as: k, body: [{conv: {out: "${2 ** k}", kernel: 1}}]}}
"""
    found = classes(computed(text))
    assert assigned(found["Net"])["r"] == (
        "nn.Sequential(nn.Conv2d(2, 1, 1), nn.Conv2d(1, 2, 1),"
        " nn.Conv2d(2, 4, 1), nn.Conv2d(4, 8, 1))"
    )


def test_loops_within_loops() -> None:
    text = """input: [2, 5, 5]
blocks:
  unit:
    args: [n]
    body:
      - repeat:
          times: $n
          body: [{repeat: {times: 3, body: [{conv: {out: 2, kernel: 1}}]}}]
      - relu
network: [{unit: {n: 3}}, {name: b, unit: {n: 4}}]
"""
    found = classes(computed(text))
    assert assigned(found["Unit"])["repeat"] == (
        "nn.Sequential(*(nn.Sequential(*(nn.Conv2d(in_channels, 2, 1)"
        " for _ in range(3))) for _ in range(n)))"
    )
