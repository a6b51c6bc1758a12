"""What `forward` says: skips, lists of iterations, heads, and layers that nothing reads."""

from __future__ import annotations

import numpy as np
import torch

from archspec.conformance.compare import compare_all
from archspec.ir.op import EvalContext
from archspec.reference import evaluate
from tests.helpers.emitted import by_head, filled, run_source, source, tensors
from tests.helpers.specs import checked

HEAD = "archspec: 1\nname: net\n"


def computed(text: str, *, train: bool = False) -> str:
    """The source of a spec, after it has computed what the reference computes."""
    graph = checked(HEAD + text).graph
    emitted = source(graph)
    values = tensors(graph)
    x = np.random.default_rng(3).normal(size=(3, *graph.input))
    expected = evaluate(graph, values, x, EvalContext(train=train, dropout=False)).outputs
    result = filled(graph, run_source(emitted), values, train=train)(torch.from_numpy(x))
    compare_all(by_head(graph, result, train=train), expected, bound=1e-10)
    return emitted


def body(text: str, name: str = "Net") -> list[str]:
    """The statements of a class's forward."""
    lines = text[text.index(f"class {name}(nn.Module)") :].splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("    def forward"))
    end = next((n for n, line in enumerate(lines[start:], start) if not line), len(lines))
    return [line.strip() for line in lines[start + 1 : end]]


def test_a_value_that_is_read_again_keeps_its_own_name() -> None:
    text = computed(
        """input: [2, 8, 8]
network:
  - {name: down, conv: {out: 4, kernel: 2, stride: 2}}
  - {name: middle, conv: {out: 4, kernel: 3, padding: 1}}
  - {name: up, conv_transpose: {out: 2, kernel: 2, stride: 2}}
  - {name: joined, from: [up, input], concat: ~}
  - {name: again, from: down, relu: ~}
  - {name: total, from: [again, down], add: ~}
  - {name: wide, conv_transpose: {out: 4, kernel: 2, stride: 2}}
  - {name: end, from: [wide, joined], concat: ~}
"""
    )
    assert body(text) == [
        "down = self.down(x)",
        "middle = self.middle(down)",
        "x = torch.cat([self.up(middle), x], dim=1)",
        "total = self.again(down) + down",
        "return torch.cat([self.wide(total), x], dim=1)",
    ]


def test_a_branch_that_reads_past_its_merge_takes_both_values() -> None:
    text = computed(
        """input: [4, 6, 6]
blocks:
  unit:
    body:
      - {name: first, conv: {out: 4, kernel: 1}}
      - {name: second, conv: {out: 4, kernel: 1}}
      - add:
          a: [{name: c, conv: {out: 4, kernel: 1}}, {name: sum, from: [first, c], add: ~}, relu]
          b: []
network: [unit]
"""
    )
    assert "class UnitA(nn.Module):" in text
    assert "    def forward(self, x: Tensor, skip: Tensor) -> Tensor:" in text
    assert body(text, "UnitA") == ["return self.relu(skip + self.c(x))"]
    assert body(text, "Unit") == [
        "first = self.first(x)",
        "x = self.second(first)",
        "return self.a(x, first) + x",
    ]


def test_iterations_that_are_read_one_by_one_are_a_list() -> None:
    text = computed(
        """input: [3, 4, 4]
network:
  - {name: enc, repeat: {times: 3, body: [{conv: {out: 3, kernel: 1}}, tanh]}}
  - {name: all, from: [enc.0, enc.1, enc.2], concat: ~}
"""
    )
    assert "self.enc = nn.ModuleList(" in text
    assert body(text) == [
        "enc_0 = self.enc[0](x)",
        "x = self.enc[1](enc_0)",
        "return torch.cat([enc_0, x, self.enc[2](x)], dim=1)",
    ]


def test_nested_merges_and_gates_need_the_right_brackets() -> None:
    text = computed(
        """input: [4, 6, 6]
network:
  - multiply:
      gate: [global_avg_pool, sigmoid]
      sum:
        - add: {p: [{conv: {out: 4, kernel: 1}}], q: []}
"""
    )
    assert "self.gate(x) * " in body(text)[-1]


def test_a_layer_that_nothing_reads_is_built_and_not_called() -> None:
    text = computed(
        """input: [2, 4, 4]
network:
  - {name: kept, conv: {out: 2, kernel: 1}}
  - {name: dropped, conv: {out: 2, kernel: 1}}
  - {name: end, from: kept, relu: ~}
"""
    )
    assert "self.dropped = " in text
    assert body(text) == ["x = self.kept(x)", "return self.end(x)"]


HEADS = """input: [2, 4, 4]
blocks:
  side: {body: [global_avg_pool, flatten]}
network:
  - {name: stem, aux: side, conv: {out: 2, kernel: 1}}
  - {name: more, aux: plain, conv: {out: 2, kernel: 1}}
  - flatten
heads:
  main: {classes: 32}
  side: {block: side, only: train, classes: 2}
  plain: {only: ONLY, classes: 2}
"""


def test_train_only_heads_come_with_a_named_tuple() -> None:
    for train in (False, True):
        text = computed(HEADS.replace("ONLY", "train"), train=train)
    assert body(text) == [
        "stem = self.stem(x)",
        "more = self.more(stem)",
        "x = self.flatten(more)",
        "if not self.training:",
        "return x",
        "return NetOutput(x, self.side(stem), more)",
    ]


def test_a_head_that_eval_mode_has_makes_every_result_a_tuple() -> None:
    text = HEADS.replace(" only: train,", "").replace("ONLY", "train")
    for train in (False, True):
        emitted = computed(text, train=train)
    assert "    plain: Tensor | None = None" in emitted
    assert body(emitted)[-4:] == [
        "side = self.side(stem)",
        "if not self.training:",
        "return NetOutput(x, side)",
        "return NetOutput(x, side, more)",
    ]


def test_a_network_of_no_layers_gives_its_input() -> None:
    assert body(computed("input: [2, 4, 4]\nnetwork: [{when: false, relu: ~}]\n")) == ["return x"]
