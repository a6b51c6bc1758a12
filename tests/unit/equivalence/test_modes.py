"""What each mode looks at, and that what a session leaves out or makes up is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from archspec.backend.session import ForwardResult, Gradients, Mode, SessionState
from archspec.equivalence.inputs import fixed_cotangents, random_weights, verify_inputs
from archspec.equivalence.layer import layer_spec
from archspec.equivalence.measure import ROUNDING, Expected, Jitter, relative_error
from archspec.equivalence.modes import MODES, OPTIMIZER, Quantity, expected_values, measure
from archspec.equivalence.plan import compare_quantities
from archspec.equivalence.report import ReportLine
from archspec.frontend.loader import Spec
from archspec.ir.op import EvalContext
from archspec.reference import ReferenceSession
from tests.helpers.specs import checked

TEXT = """archspec: 1
name: net
input: [2, 3, 3]
network:
  - {name: one, conv: {out: 2, kernel: 2}, aux: side}
  - {name: bn, batch_norm: {}}
  - {name: two, relu: }
heads:
  side: {only: train, weight: 0.5}
"""


@pytest.fixture(scope="module")
def spec() -> Spec:
    return checked(TEXT)


class Session(ReferenceSession):
    """The reference, with something changed in what it gives."""

    change: Callable[[Any], Any] = staticmethod(lambda given: given)

    def forward(
        self,
        x: Any,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        return self.change(
            super().forward(x, train=train, return_activations=return_activations, dropout=dropout)
        )

    def gradients(self, x: Any, cotangents: Any, *, train: bool = True) -> Gradients:
        plain, self.change = self.change, lambda given: given
        found = super().gradients(x, cotangents, train=train)
        self.change = plain
        return plain(found)

    def state(self) -> SessionState:
        return self.change(super().state())


DOUBLE = ROUNDING["float64"]


def lines(
    spec: Spec, mode: Mode, change: Callable[[Any], Any] = lambda given: given
) -> list[ReportLine]:
    given = verify_inputs(spec.graph, 0, 3)
    session = Session(spec.graph, given.tensors)
    if mode == "step":
        session.step(given.x, given.cotangents, OPTIMIZER)
    session.change = change
    wanted = expected_values(spec.graph, given, mode, DOUBLE)
    if mode == "step":  # `measure` would go another step; what is looked at is the state
        state = session.state()
        found: Mapping[Any, Any] = {"tensors": state.tensors, "slots": state.slots}
    else:
        found = measure(session, given, mode)
    return list(compare_quantities(spec.graph, "it", mode, "float64", found, wanted, DOUBLE))


@pytest.mark.parametrize(
    ("mode", "quantities"),
    [
        ("eval", {"outputs": 1, "activations": 4}),
        ("train", {"outputs": 2, "activations": 4, "statistics": 2}),
        ("grad", {"gradients": 5}),
        ("step", {"tensors": 6, "slots": 4}),
    ],
)
def test_what_is_compared(spec: Spec, mode: Mode, quantities: dict[str, int]) -> None:
    found = lines(spec, mode)
    assert {line.quantity: line.of for line in found} == quantities
    assert all(line.passed and line.compared == line.of for line in found)


def without(field: str, name: str) -> Callable[[Any], Any]:
    return lambda given: replace(
        given, **{field: {k: v for k, v in getattr(given, field).items() if k != name}}
    )


def with_more(field: str, name: str) -> Callable[[Any], Any]:
    return lambda given: replace(given, **{field: {**getattr(given, field), name: np.ones(2)}})


def wrong(field: str, name: str, by: float = 1e-3) -> Callable[[Any], Any]:
    def change(given: Any) -> Any:
        values: Mapping[str, Any] = getattr(given, field)
        return replace(
            given, **{field: {k: v * (1 + by) if k == name else v for k, v in values.items()}}
        )

    return change


@pytest.mark.parametrize(
    ("mode", "change", "quantity", "first", "place"),
    [
        ("eval", wrong("outputs", "main"), "outputs", "main", 7),
        ("eval", without("outputs", "main"), "outputs", "main", 7),
        ("eval", with_more("outputs", "side"), "outputs", "side", 5),
        ("eval", wrong("activations", "bn"), "activations", "bn", 6),
        ("train", wrong("outputs", "side"), "outputs", "side", 5),
        ("train", without("outputs", "side"), "outputs", "side", 5),
        ("train", wrong("running_stats", "bn.running_var"), "statistics", "bn.running_var", 6),
        ("train", without("running_stats", "bn.running_mean"), "statistics", "bn.running_mean", 6),
        ("grad", wrong("tensors", "one.weight"), "gradients", "one.weight", 5),
        ("grad", without("tensors", "one.weight"), "gradients", "one.weight", 5),
        ("grad", with_more("tensors", "bn.running_mean"), "gradients", "bn.running_mean", 6),
        ("step", wrong("tensors", "bn.weight"), "tensors", "bn.weight", 6),
        ("step", wrong("slots", "one.weight@momentum"), "slots", "one.weight@momentum", 5),
        ("step", without("slots", "bn.bias@momentum"), "slots", "bn.bias@momentum", 6),
    ],
)
def test_a_wrong_answer_is_named_with_its_line(
    spec: Spec, mode: Mode, change: Callable[[Any], Any], quantity: str, first: str, place: int
) -> None:
    (line,) = [line for line in lines(spec, mode, change) if not line.passed]
    assert line.quantity == quantity
    assert line.first is not None
    assert line.first.name == first
    assert line.first.location.split(":")[1] == str(place)


def test_a_quantity_that_the_reference_has_nothing_of_may_not_be_given() -> None:
    bare = checked(layer_spec("relu", {}, (2, 3, 3)))
    (line,) = [
        line
        for line in lines(bare, "train", with_more("running_stats", "layer.mean"))
        if not line.passed
    ]
    assert line.quantity == "statistics"


def test_the_first_in_order_is_named_and_not_the_worst(spec: Spec) -> None:
    def change(given: Any) -> Any:
        return wrong("activations", "two", 100.0)(wrong("activations", "bn", 1e-3)(given))

    (line,) = [line for line in lines(spec, "eval", change) if not line.passed]
    assert line.first is not None
    assert (line.first.name, line.worst) == ("bn", "two")


def test_activations_may_be_left_out_but_not_all_of_them(spec: Spec) -> None:
    line = next(
        line
        for line in lines(spec, "eval", without("activations", "one"))
        if line.quantity == "activations"
    )
    assert (line.passed, line.compared, line.of) == (True, 3, 4)
    (line,) = [
        line
        for line in lines(spec, "eval", lambda r: replace(r, activations={}))
        if not line.passed
    ]
    assert line.failed == "it gives no activations"


def test_material_is_never_degenerate_and_the_same_for_a_seed(spec: Spec) -> None:
    tensors = random_weights(spec.graph, 3)
    values = np.concatenate([tensor.ravel() for tensor in tensors.values()])
    assert np.unique(values).size == values.size
    assert (values != 0).all()
    assert (tensors["bn.running_var"] > 0).all()
    assert all((tensor.astype(np.float32) == tensor).all() for tensor in tensors.values())
    assert all(
        (random_weights(spec.graph, 3)[name] == tensor).all() for name, tensor in tensors.items()
    )
    outputs = {"main": np.zeros((2, 2)), "side": np.zeros((2, 2))}
    one, other = fixed_cotangents(spec.graph, 3)(outputs), fixed_cotangents(spec.graph, 4)(outputs)
    assert (one["main"] != one["side"]).all()
    assert (one["main"] != other["main"]).all()
    assert np.abs(one["side"]).max() <= 0.5


@pytest.mark.parametrize("mode", MODES)
def test_a_network_without_tensors_has_nothing_to_step(mode: Mode) -> None:
    bare = checked(layer_spec("relu", {}, (2, 3, 3)))
    assert all(line.passed for line in lines(bare, mode))
    assert bool(lines(bare, mode)) == (mode != "step")


UNREAD = """archspec: 1
name: net
input: [2, 3, 3]
network:
  - {name: one, conv: {out: 2, kernel: 2}}
  - {name: unread, batch_norm: {}}
  - {name: two, relu: , from: one}
"""


@pytest.mark.parametrize("role", ["weight", "running_mean"])
def test_what_a_layer_has_that_no_output_needs_is_compared_too(role: str) -> None:
    spec = checked(UNREAD)
    assert all(line.passed for line in lines(spec, "step"))
    assert not all(line.passed for line in lines(spec, "step", wrong("tensors", f"unread.{role}")))


TIED = """archspec: 1
name: net
input: [1, 4]
network: [{resize: {size: [2], mode: linear, coordinates: half_pixel}}, global_max_pool]
"""


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_of_equal_values_an_engine_may_take_any(share: float) -> None:
    """Both means are 2: the derivative may go to the first, to the second, or to both."""
    graph = checked(TIED).graph
    given = replace(verify_inputs(graph, 0, 1), x=np.array([[[3.0, 1.0, 4.0, 0.0]]]))
    wanted = expected_values(graph, given, "grad", DOUBLE)
    whole = wanted["gradients"].values["input"].sum() / 2
    found = np.array([[[share, share, 1 - share, 1 - share]]]) * whole
    assert all(
        line.passed
        for line in compare_quantities(
            graph, "it", "grad", "float64", {"gradients": {"input": found}}, wanted, DOUBLE
        )
    )


def test_an_activation_may_be_as_far_away_as_rounding_takes_it(spec: Spec) -> None:
    given = verify_inputs(spec.graph, 0, 2)
    plain = measure(ReferenceSession(spec.graph, given.tensors), given, "eval")
    (path, value), *_ = plain["activations"].items()
    found: dict[Quantity, Any] = {**plain, "activations": {path: value * (1 + 1e-8)}}
    wanted: dict[Quantity, Expected] = {
        quantity: Expected(values) for quantity, values in plain.items()
    }
    moved = {**plain["activations"], path: value * (1 + 1e-8)}
    wider: dict[Quantity, Expected] = {
        **wanted,
        "activations": wanted["activations"].widened(moved),
    }
    for known, passes in ((wanted, False), (wider, True)):
        told = compare_quantities(spec.graph, "it", "eval", "float64", found, known, DOUBLE)
        assert [line.passed for line in told if line.quantity == "activations"] == [passes]


LOST = {
    "batch_norm": "[{conv: {out: 1, kernel: 2}}, {batch_norm: {eps: 0.001}}]",
    "group_norm": "[{conv: {out: 2, kernel: 2}}, {group_norm: {groups: 1}}]",
    "softmax": "[{conv: {out: 1, kernel: 2}}, {reshape: {to: [25]}}, softmax]",
}


@pytest.mark.parametrize("network", LOST)
def test_a_bias_that_a_mean_takes_away_may_be_what_rounding_leaves(
    network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its derivative is 0; weight decay makes what a step does to it another number."""
    graph = checked(f"archspec: 1\ninput: [2, 6, 6]\nnetwork: {LOST[network]}\n").graph
    exact = EvalContext.mean

    def rounded(context: EvalContext, values: Any, axes: tuple[int, ...]) -> Any:
        # As an engine that adds in order does: by a few digits of what is added.
        return exact(context, values, axes) + 2.0**-48 * exact(context, np.abs(values), axes)

    for seed in range(40):
        given = verify_inputs(graph, seed, 2)
        expected = expected_values(graph, given, "step", DOUBLE)
        with monkeypatch.context() as patch:
            patch.setattr(EvalContext, "mean", rounded)
            found = measure(ReferenceSession(graph, given.tensors), given, "step")
        lines = compare_quantities(graph, "it", "step", "float64", found, expected, DOUBLE)
        assert [line for line in lines if line.first] == []


@pytest.mark.parametrize("batch", [2, 3, 4, 5])
def test_a_single_number_is_moved_several_times(batch: int) -> None:
    graph = checked(f"archspec: 1\ninput: [2, 6, 6]\nnetwork: {LOST['batch_norm']}\n").graph
    given = verify_inputs(graph, 0, batch)
    slots = expected_values(graph, given, "step", DOUBLE)["slots"]
    for seed in range(1, 5):
        jitter = Jitter(DOUBLE, seed)
        tensors = {name: jitter(value) for name, value in given.tensors.items()}
        moved = measure(
            ReferenceSession(graph, tensors, jitter), replace(given, tensors=tensors), "step"
        )
        bias = moved["slots"]["conv.bias@momentum"]
        away = relative_error(bias, slots.values["conv.bias@momentum"])
        assert away <= slots.moves["conv.bias@momentum"]
