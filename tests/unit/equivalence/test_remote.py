"""A session in a process of its own: what goes over, and what becomes of a process that misbehaves."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.backend import BackendError, load
from archspec.backend.session import SessionState, SgdConfig
from archspec.diagnostics import Failure, MissingPackage, UsageError
from archspec.equivalence.inputs import VerifyInputs, verify_inputs
from archspec.equivalence.plan import build_target
from archspec.equivalence.remote import Remote, Target
from archspec.frontend.loader import Spec
from tests.helpers.installed import broken, installed
from tests.helpers.specs import checked

TEXT = "archspec: 1\nname: net\ninput: [2, 3, 3]\nnetwork: [{conv: {out: 2, kernel: 2}}, batch_norm, relu]\n"


@pytest.fixture(scope="module")
def spec() -> Spec:
    return checked(TEXT)


@pytest.fixture(scope="module")
def given(spec: Spec) -> VerifyInputs:
    return verify_inputs(spec.graph, 0, 2)


@contextmanager
def opened(name: str, spec: Spec, given: VerifyInputs, place: Path) -> Generator[Remote]:
    """The backend of that name in a process, with the spec open."""
    target = Target.parse(name)
    with Remote(target, threads=1) as remote:
        remote.open(*build_target(spec, target, given, place), "float64")
        yield remote


def test_every_call_gives_what_the_session_itself_gives(
    spec: Spec, given: VerifyInputs, tmp_path: Path
) -> None:
    with opened("torch", spec, given, tmp_path) as remote:
        here = load("torch").open(tmp_path / "build", spec.graph, "float64")
        for session in (remote, here):
            session.restore(SessionState(dict(given.tensors)))
        for train in (False, True):
            there, own = (
                session.forward(given.x, train=train, return_activations=True)
                for session in (remote, here)
            )
            for what in ("outputs", "activations", "running_stats"):
                same(getattr(there, what), getattr(own, what))
            there, own = (
                session.gradients(given.x, given.cotangents, train=train)
                for session in (remote, here)
            )
            same(there.outputs, own.outputs)
            same({"input": there.input, **there.tensors}, {"input": own.input, **own.tensors})
        for session in (remote, here):
            session.step(given.x, given.cotangents, SgdConfig(learning_rate=0.1, momentum=0.9))
        assert here.state().slots
        same(remote.state().tensors, here.state().tensors)
        same(remote.state().slots, here.state().slots)


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert np.array_equal(found[name], value)


def test_what_a_session_raises_is_raised_here_and_the_process_lives(
    spec: Spec, given: VerifyInputs, tmp_path: Path
) -> None:
    with opened("torch", spec, given, tmp_path) as remote:
        with pytest.raises(BackendError, match="torch: RuntimeError: ") as caught:
            remote.forward(np.ones((2, 5, 3, 3)))
        assert "Traceback" in caught.value.__notes__[0]
        assert remote.forward(given.x).outputs["main"].shape == (2, 2, 2, 2)


def test_a_call_before_a_session_is_open() -> None:
    with (
        Remote(Target.parse("torch"), threads=1) as remote,
        pytest.raises(BackendError, match="no session is open"),
    ):
        remote.state()


def test_a_loss_that_raises_is_heard_here_and_the_session_can_be_opened_again(
    spec: Spec, given: VerifyInputs, tmp_path: Path
) -> None:
    def pull(outputs: Any) -> Any:
        raise ZeroDivisionError

    with opened("torch", spec, given, tmp_path) as remote:
        with pytest.raises(ZeroDivisionError):
            remote.gradients(given.x, pull)
        with pytest.raises(BackendError, match="the process of torch was ended"):
            remote.forward(given.x)
        remote.open(tmp_path / "build", tmp_path / "spec.yaml", "float64")
        assert remote.forward(given.x).outputs


def test_what_a_backend_prints_disturbs_no_answer(
    spec: Spec, given: VerifyInputs, tmp_path: Path
) -> None:
    prank = "print('loud' * 9999, flush=True); os.write(1, b'louder'); os.system('echo loudest')"
    with (
        installed(tmp_path, "loud", broken("loud", prank=prank)),
        opened("loud", spec, given, tmp_path) as remote,
    ):
        assert remote.forward(given.x).outputs["main"].shape == (2, 2, 2, 2)


def test_a_process_that_dies_tells_its_last_words(
    spec: Spec, given: VerifyInputs, tmp_path: Path
) -> None:
    prank = "os.write(2, b'first\\nout of memory, it seems\\n'); os._exit(7)"
    with installed(tmp_path, "dying", broken("dying", prank=prank)):
        target = Target.parse("dying")
        with Remote(target) as remote:
            paths = build_target(spec, target, given, tmp_path)
            for _ in range(2):  # it starts again, and dies again
                with pytest.raises(
                    Failure, match="the process of dying ended with 7: out of memory, it seems"
                ):
                    remote.open(*paths, "float64")
                with pytest.raises(Failure, match="ended with 7"):
                    remote.state()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_process_that_is_killed_says_what_may_have_done_it() -> None:
    with Remote(Target.parse("torch")) as remote:
        remote.process.kill()
        with pytest.raises(
            Failure, match="the process of torch was killed, as happens where memory runs short"
        ):
            remote.state()


def test_a_backend_that_cannot_be_imported_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = broken("shy") + "\nif os.environ.get('SHY'):\n    raise ImportError('not today')\n"
    with installed(tmp_path, "shy", source):
        target = Target.parse("shy")
        monkeypatch.setenv("SHY", "yes")
        with pytest.raises(BackendError, match="the backend `shy` cannot be imported: not today"):
            Remote(target)


@pytest.mark.parametrize(
    ("name", "message", "help"),
    [
        ("torhc", "unknown backend `torhc`", "did you mean `torch`?"),
        ("keras@jaxx", "the backend `keras` has no engine `jaxx`", "did you mean `jax`?"),
        (
            "torch@cuda",
            "the backend `torch` has no engine `cuda`",
            "it has no engines to choose from",
        ),
    ],
)
def test_a_target_that_is_unknown(name: str, message: str, help: str) -> None:
    with pytest.raises(BackendError) as caught:
        Target.parse(name)
    assert (caught.value.message, caught.value.help) == (message, help)
    assert isinstance(caught.value, UsageError)


def test_a_framework_that_is_missing(tmp_path: Path) -> None:
    source = broken("lacking").replace(
        'name="lacking"', 'name="lacking", framework="no_such_framework"'
    )
    with (
        installed(tmp_path, "lacking", source),
        pytest.raises(BackendError, match="needs no_such_framework") as caught,
    ):
        Target.parse("lacking")
    assert isinstance(caught.value, MissingPackage)


def test_the_usual_engine_is_not_named() -> None:
    assert [str(Target.parse(name)) for name in ("torch", "keras", "keras@tensorflow", "keras@jax")] == [
        "torch", "keras", "keras", "keras@jax",
    ]  # fmt: skip
    assert Target.parse("keras@jax").environment["KERAS_BACKEND"] == "jax"
    assert Target.parse("torch").environment == {}
