"""What no output needs is built, for its weights, and does not run: its statistics stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archspec.conformance.compare import compare_all
from archspec.ir.graph import Graph
from archspec.ir.op import EvalContext
from archspec.reference import evaluate
from archspec_torch.layout import state_dict_keys
from tests.helpers.emitted import by_head, filled, run_source, source, tensors
from tests.helpers.specs import checked
from tests.unit.torch.test_forward import HEAD, body

UNIT = """
blocks:
  unit:
    args: {out: int}
    body:
      - {name: kept, conv: {out: $out, kernel: 1}}
      - {name: norm, batch_norm: ~}
      - {name: norm_2, batch_norm: ~}
      - name: both
        from: kept
        add:
          a: [{name: aside, from: norm_2, batch_norm: ~}, {name: end, from: kept, batch_norm: ~}]
          b: []
"""

ASIDE = {
    "a layer of a branch reads past its merge": """
network:
  - {name: kept, conv: {out: 4, kernel: 1}}
  - {name: norm, batch_norm: ~}
  - {name: both, from: kept, add: {a: [{name: aside, from: norm, relu: ~}, {name: end, from: kept, tanh: ~}], b: []}}
""",
    "a block reads what is aside": f"""{UNIT}
network: [{{unit: {{out: 4}}}}, {{name: aside, unit: {{out: 3}}}}, {{name: last, from: unit, unit: {{out: 2}}}}]
""",
    "one call of a block is read and another is not": f"""{UNIT}
network:
  - {{name: one, unit: {{out: 4}}}}
  - {{name: two, unit: {{out: 4}}}}
  - {{name: three, unit: {{out: 4}}}}
  - {{name: end, from: one, relu: ~}}
""",
    "later iterations": """
network:
  - {name: steps, repeat: {times: 3, body: [{conv: {out: 4, kernel: 1}}, batch_norm]}}
  - {name: end, from: steps.0, relu: ~}
""",
    "an iteration that is read aside": """
network:
  - {name: steps, repeat: {times: 3, body: [{conv: {out: 4, kernel: 1}}, batch_norm]}}
  - {name: aside, from: steps.1, batch_norm: ~}
  - {name: end, from: steps.2, relu: ~}
""",
    "a merge of what is aside": """
blocks:
  unit:
    body:
      - {name: kept, conv: {out: 4, kernel: 1}}
      - {name: norm, batch_norm: ~}
      - {name: other, batch_norm: ~}
      - {name: joined, from: [kept, norm, other], concat: ~}
      - {name: wide, conv: {out: 4, kernel: 1}}
      - {name: end, from: kept, relu: ~}
network: [unit, {name: again, unit: ~}]
""",
}


def trained(text: str) -> tuple[Graph, str]:
    """A spec's graph and source, after a run in train mode that has moved what the reference's moves and no more."""
    graph = checked(f"{HEAD}input: [3, 4, 4]\n{text}").graph
    emitted, values = source(graph), tensors(graph)
    x = np.random.default_rng(3).normal(size=(3, *graph.input))
    expected = evaluate(graph, values, x, EvalContext(train=True, dropout=False))
    model = filled(graph, run_source(emitted), values, train=True)
    compare_all(
        by_head(graph, model(torch.from_numpy(x)), train=True), expected.outputs, bound=1e-10
    )
    state, names = model.state_dict(), state_dict_keys(graph)
    after = {name: state[names[name]].numpy() for name in values}
    compare_all(after, {**values, **expected.running_stats}, bound=1e-10)
    return graph, emitted


@pytest.mark.parametrize("text", ASIDE.values(), ids=ASIDE)
def test_it_does_not_run(text: str) -> None:
    graph, _ = trained(text)
    assert len(graph.reachable(graph.heads)) < len(graph.nodes)


def test_a_value_that_only_it_reads_does_not_enter_the_class_around_it() -> None:
    _, text = trained(ASIDE["a layer of a branch reads past its merge"])
    assert body(text, "NetBothA") == ["return self.end(x)"]
    assert body(text) == ["x = self.kept(x)", "return self.both_a(x) + x"]


def test_calls_that_are_read_and_those_that_are_not_share_a_class() -> None:
    _, text = trained(ASIDE["one call of a block is read and another is not"])
    assert [line for line in text.splitlines() if line.startswith("class ")] == [
        "class UnitBothA(nn.Module):",
        "class Unit(nn.Module):",
        "class Net(nn.Module):",
    ]
    assert body(text, "Unit") == ["x = self.kept(x)", "return self.both_a(x) + x"]
    assert body(text) == ["x = self.one(x)", "return self.end(x)"]


def test_iterations_that_are_read_aside_alone_stay_a_sequence() -> None:
    _, text = trained(ASIDE["an iteration that is read aside"])
    assert body(text) == ["x = self.steps(x)", "return self.end(x)"]
