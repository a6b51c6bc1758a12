"""Restoring a session's state: one that does not fit is refused by name and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from archspec.backend.session import Session, SessionState, slot_name
from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.compare import compare_all
from archspec.conformance.layers import layer_spec, load_text, simplest
from archspec.diagnostics import Failure
from archspec.equivalence.inputs import VerifyInputs, verify_inputs
from archspec.ir.graph import Graph


def opened(backend_under_test: BackendUnderTest) -> Iterator[tuple[Graph, VerifyInputs, Session]]:
    """Open each op that has tensors, by itself."""
    for kind in sorted(backend_under_test.target.backend.lowered):
        spec = load_text(layer_spec(*simplest(kind)))
        inputs = verify_inputs(spec.graph, 0, 2)
        if inputs.tensors:
            yield (
                spec.graph,
                inputs,
                backend_under_test.open(spec, inputs, backend_under_test.precision("float32")),
            )


def misfits(graph: Graph) -> Iterator[tuple[SessionState, str]]:
    """Yield states that a network must not take, each with one fault, and the message for it."""
    import numpy as np

    (name, _, param), *_ = graph.parameters()
    fits, longer = np.ones(param.shape), np.ones((*param.shape, 7))
    unknown, slot = f"{name}s", slot_name(name, "momentum")
    yield SessionState({unknown: fits}), f"`{unknown}` is no tensor of this network"
    yield SessionState({name: longer}), f"`{name}` is .*, found .*x7"
    yield SessionState({}, {slot: longer}), f"`{slot}` is .*, found .*x7"
    strange = {name: fits, slot_name(unknown, "momentum"): fits}
    strange |= {
        slot_name(n, "momentum"): np.ones(p.shape)
        for n, _, p in graph.parameters()
        if not p.trainable
    }
    for slot, value in strange.items():
        yield (
            SessionState({}, {slot: value}),
            f"`{slot}` is a slot of no trainable tensor of this network",
        )


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(
    backend_under_test: BackendUnderTest,
) -> None:
    for graph, given, session in opened(backend_under_test):
        moved = {name: 2 * value for name, value in given.tensors.items()}
        for misfit, message in misfits(graph):
            # From its process a ValueError comes as a Failure that says so.
            with pytest.raises((ValueError, Failure), match=message):
                session.restore(SessionState({**moved, **misfit.tensors}, misfit.slots))
        state = session.state()
        compare_all(state.tensors, given.tensors, bound=1e-6)
        assert not state.slots


def test_tensors_that_are_not_given_stay_as_they_are(backend_under_test: BackendUnderTest) -> None:
    for _, given, session in opened(backend_under_test):
        name, value = next(iter(given.tensors.items()))
        session.restore(SessionState({name: 2 * value}))
        compare_all(session.state().tensors, {**given.tensors, name: 2 * value}, bound=1e-6)


def test_gradients_are_those_of_one_call(backend_under_test: BackendUnderTest) -> None:
    """Frameworks add gradients up until they are told to forget them."""
    if not backend_under_test.has_mode("grad"):
        pytest.skip("the backend takes no gradients")
    for _, given, session in opened(backend_under_test):
        first = session.gradients(given.x, given.cotangents)
        second = session.gradients(given.x, given.cotangents)
        compare_all(second.tensors, first.tensors, bound=1e-5, what="gradients")
