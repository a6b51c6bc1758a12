"""A session in its own process, with the interface of `archspec.backend.session.Session`.

with Remote(Target.parse("keras@jax")) as remote:
    remote.open(folder, spec_file, "float32")
    remote.forward(x).outputs["main"]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from archspec._numpy import Array
from archspec.backend import Backend, BackendError, FileRun, UnknownBackend, find, require
from archspec.backend.session import (
    ForwardResult,
    Gradients,
    OutputCotangents,
    Precision,
    SessionState,
    SgdConfig,
)
from archspec.diagnostics import Failure, did_you_mean, quote
from archspec.equivalence.measure import MIXED, ROUNDING, Rounding
from archspec.equivalence.wire import Closed, failure_class, grouped, receive, send
from archspec.ir.graph import Graph


@dataclass(frozen=True)
class Target:
    """A backend on one of its engines, written `keras@jax`; without `@`, on the default one."""

    backend: Backend
    engine: str = ""

    @classmethod
    def parse(cls, text: str) -> Target:
        """Return the backend and engine of that name, both installed; raise `BackendError`."""
        name, _, engine = text.partition("@")
        backend = find(name)
        engines = backend.engines
        if engine and engine not in engines:
            help = (
                did_you_mean(engine, engines, "engines")
                if engines
                else "it has no engines to choose from"
            )
            raise UnknownBackend(f"the backend {quote(name)} has no engine {quote(engine)}", help)
        target = cls(backend, engine or next(iter(engines), ""))
        require(backend, target.engine)
        return target

    def __str__(self) -> str:
        usual = next(iter(self.backend.engines), "")
        return self.backend.name if self.engine == usual else f"{self.backend.name}@{self.engine}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that choose the engine in its process."""
        return dict(self.backend.engines[self.engine].environment) if self.engine else {}

    def rounding(self, graph: Graph, precision: Precision) -> Rounding:
        """Return the rounding that its model of that graph may show."""
        mixed = precision == "float64" and any(
            node.op.kind in self.backend.float32_constants for node in graph.nodes[1:]
        )
        return MIXED if mixed else ROUNDING[precision]


class Remote:
    """A worker process and the session open in it; its errors are raised here as `Failure`."""

    def __init__(self, target: Target, threads: int | None = None) -> None:
        self.target = target
        self.environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, **target.environment}
        if threads is not None:
            self.environment |= {name: str(threads) for name in _THREADS}
        self._start()

    def _start(self) -> None:
        command = [
            sys.executable,
            "-P",
            "-m",
            "archspec.equivalence.worker",
            self.target.backend.name,
        ]
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            env=self.environment,
        )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):  # there may be no one to take what was not sent yet
                    pipe.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said.close()

    def open(self, folder: Path, spec: Path, precision: Precision) -> None:
        """Open a build's folder; `spec` is the file that it was built from.

        If the process has ended, as when a model crashed the engine, start it again.
        """
        if self.process.poll() is not None:
            self.close()
            self._start()
        self._call(
            {"call": "open", "folder": str(folder), "spec": str(spec), "precision": precision}
        )

    def run_file(self, file: Path, x: Array) -> FileRun:
        """Run the model in a file, of any origin, on a batch."""
        self._send({"call": "run_file", "file": str(file)}, {"x": x})
        reply, arrays = self._answer()
        groups = grouped(arrays)
        outputs, values = groups.get("outputs", {}), groups.get("values", {})
        named = [(name, values[str(i)]) for i, name in enumerate(reply["names"])]
        return FileRun([outputs[str(i)] for i in range(len(outputs))], named)

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        call = {
            "call": "forward",
            "train": train,
            "return_activations": return_activations,
            "dropout": dropout,
        }
        groups = grouped(self._call(call, {"x": x}))
        return ForwardResult(
            groups.get("outputs", {}), groups.get("activations", {}), groups.get("updates", {})
        )

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        arrays = self._call({"call": "gradients", "train": train}, {"x": x}, cotangents)
        groups = grouped(arrays)
        return Gradients(groups.get("outputs", {}), arrays["input"], groups.get("tensors", {}))

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        self._call({"call": "step", "optimizer": asdict(optimizer)}, {"x": x}, cotangents)

    def state(self) -> SessionState:
        groups = grouped(self._call({"call": "state"}))
        return SessionState(groups.get("tensors", {}), groups.get("slots", {}))

    def restore(self, state: SessionState) -> None:
        arrays = {f"tensors/{name}": value for name, value in state.tensors.items()}
        self._call(
            {"call": "restore"},
            arrays | {f"slots/{name}": value for name, value in state.slots.items()},
        )

    def _call(
        self,
        head: Mapping[str, Any],
        arrays: Mapping[str, Array] | None = None,
        cotangents: OutputCotangents | None = None,
    ) -> dict[str, Array]:
        self._send(head, arrays)
        while True:
            reply, values = self._answer()
            if "cotangents" not in reply:
                return values
            assert cotangents is not None
            try:
                shares = cotangents(values)
            except BaseException:
                self.close()  # which waits for an answer that will not come
                raise
            self._send({}, shares)

    def _send(self, head: Mapping[str, Any], arrays: Mapping[str, Array] | None) -> None:
        pipe = self.process.stdin
        assert pipe is not None
        try:
            send(pipe, head, arrays)
        except Closed:
            raise self._gone() from None

    def _answer(self) -> tuple[dict[str, Any], dict[str, Array]]:
        pipe = self.process.stdout
        assert pipe is not None
        try:
            reply, values = receive(pipe)
        except Closed:
            raise self._gone() from None
        if "error" in reply:
            kind = failure_class(reply.get("kind", ""))
            error = kind(f"{self.target}: {reply['error']}", reply.get("help", ""))
            error.add_note(reply.get("trace", ""))
            raise error
        return reply, values

    def _gone(self) -> Failure:
        """Return the failure for a process that died, with the last line that it printed."""
        if self.said.closed:
            return BackendError(f"the process of {self.target} was ended")
        code = self.process.wait()
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines()
        last = f": {lines[-1]}" if lines else ""
        if code == -9:  # SIGKILL, which leaves no time to say anything
            return BackendError(
                f"the process of {self.target} was killed, as happens where memory runs short"
            )
        return BackendError(f"the process of {self.target} ended with {code}{last}")


_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
