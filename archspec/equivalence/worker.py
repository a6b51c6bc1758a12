"""The worker process of one backend, driven over its streams.

A framework is chosen when it is imported, holds threads and memory for good, and can crash: so each
has a process of its own, in which all of its sessions are opened.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from archspec._numpy import Array
from archspec.backend import load as load_backend
from archspec.backend.attribution import REPORT_HELP, describe_exception
from archspec.backend.session import Session, SessionState, SgdConfig
from archspec.compiler import load as load_spec
from archspec.diagnostics import Failure
from archspec.equivalence.wire import Closed, failure_kind, grouped, receive, send

if TYPE_CHECKING:
    from collections.abc import Mapping


class Worker:
    """Answers calls on one session at a time."""

    def __init__(self, name: str, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
        self.backend = load_backend(name)
        self.incoming, self.outgoing = incoming, outgoing
        self.session: Session | None = None

    def serve(self) -> None:
        """Answer calls until the other side closes the pipe."""
        with suppress(Closed):
            while True:
                head, arrays = receive(self.incoming)
                try:
                    reply, values = self.answer(head, arrays)
                except Closed:
                    raise
                except Exception as error:
                    reply, values = _error_reply(error), {}
                send(self.outgoing, reply, values)

    def answer(
        self, head: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> tuple[dict[str, Any], dict[str, Array]]:
        match head["call"]:
            case "open":
                folder = Path(head["folder"])
                self.session = None
                self.session = self.backend.open(
                    folder, load_spec(head["spec"]).graph, head["precision"]
                )
                return {}, {}
            case "run_file":
                path = Path(head["file"])
                run = self.backend.file_runners[path.suffix.lower()](path, arrays["x"])
                named = {f"values/{i}": value for i, (_, value) in enumerate(run.values)}
                outputs = {f"outputs/{i}": value for i, value in enumerate(run.outputs)}
                return {"names": [name for name, _ in run.values]}, {**outputs, **named}
            case "forward":
                how = {name: head[name] for name in ("train", "return_activations", "dropout")}
                result = self._open().forward(arrays["x"], **how)
                return {}, _labelled(
                    outputs=result.outputs,
                    activations=result.activations,
                    updates=result.running_stats,
                )
            case "gradients":
                gradients = self._open().gradients(
                    arrays["x"], self.cotangents, train=head["train"]
                )
                labelled = _labelled(outputs=gradients.outputs, tensors=gradients.tensors)
                return {}, labelled | {"input": gradients.input}
            case "step":
                self._open().step(arrays["x"], self.cotangents, SgdConfig(**head["optimizer"]))
                return {}, {}
            case "state":
                state = self._open().state()
                return {}, _labelled(tensors=state.tensors, slots=state.slots)
            case "restore":
                groups = grouped(arrays)
                self._open().restore(
                    SessionState(groups.get("tensors", {}), groups.get("slots", {}))
                )
                return {}, {}
            case other:
                raise ValueError(f"no call {other!r}")

    def cotangents(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Ask the other side, which holds the loss, for the cotangents of these outputs."""
        send(self.outgoing, {"cotangents": True}, outputs)
        return receive(self.incoming)[1]

    def _open(self) -> Session:
        if self.session is None:
            raise ValueError("no session is open")
        return self.session


def _error_reply(error: Exception) -> dict[str, Any]:
    """Return the reply that raises an error on the other side, with its traceback as a note."""
    reply = {"trace": traceback.format_exc()}
    if isinstance(error, Failure):
        return {**reply, "error": error.message, "help": error.help}
    return {**reply, "error": describe_exception(error), "help": REPORT_HELP}


def _labelled(**groups: Mapping[str, Array]) -> dict[str, Array]:
    return {
        f"{group}/{name}": value
        for group, values in groups.items()
        for name, value in values.items()
    }


def main() -> None:
    # What frameworks print goes to stderr: the stream that answers go over is kept from them.
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")  # they are the framework's own, and nobody reads them here
    incoming = sys.stdin.buffer
    try:
        worker = Worker(sys.argv[1], incoming, outgoing)
    except Failure as error:
        send(outgoing, {"error": error.message, "help": error.help, "kind": failure_kind(error)})
        return
    send(outgoing, {})
    worker.serve()
    outgoing.close()
    os._exit(0)  # frameworks' own ways of ending can take seconds, and hang


if __name__ == "__main__":
    main()
