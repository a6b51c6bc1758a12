"""A folder with `archspec` and `python` for a shell's path, whose processes are forked as `tests.helpers.forked` says."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.helpers.forked import Popen

# It hands its arguments, environment, folder and streams over, passes signals on, and ends as the process does.
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
call = [*{prefix!r}, *sys.argv[1:]]
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    head = json.dumps([call, dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(server, [len(head).to_bytes(4, "little")], [0, 1, 2])
    server.sendall(head)
    answers = server.makefile("rb")
    pid = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    code = int(answers.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@contextmanager
def scripts() -> Generator[Path]:
    """The folder; it is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        address = str(Path(folder) / "socket")
        server.bind(address)
        server.listen()
        for name, prefix in (("archspec", ["-P", "-m", "archspec"]), ("python", [])):
            script = Path(folder) / name
            script.write_text(CLIENT.format(python=sys.executable, prefix=prefix, address=address))
            script.chmod(0o755)
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield Path(folder)


def _serve(server: socket.socket) -> None:
    with suppress(OSError):  # the socket is closed at the end
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection:
        length, fds, _, _ = socket.recv_fds(connection, 4, 3)
        with connection.makefile("rb") as stream:
            args, environment, here = json.loads(stream.read(int.from_bytes(length, "little")))
        streams = [os.fdopen(fd, "rb", buffering=0) for fd in fds]
        try:
            process = Popen(
                [sys.executable, *args],
                stdin=streams[0],
                stdout=streams[1],
                stderr=streams[2],
                cwd=here,
                env=environment,
            )
        finally:
            for file in streams:
                file.close()
        connection.sendall(f"{process.pid}\n".encode())
        connection.sendall(f"{process.wait()}\n".encode())
