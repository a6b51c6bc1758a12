"""Python processes that start from one that has imported the frameworks already: seconds less for each.

`Popen` and `run` are those of `subprocess`, for a command that starts with this interpreter: `-c CODE`, `-m MODULE` or
a script, with its arguments. The process is forked from a server of multiprocessing, with the environment, folder and
streams that are asked for.
"""

from __future__ import annotations

import atexit
import io
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any

PRELOADED = ["tests.helpers.preloaded"]


@cache
def _server() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


class Popen:
    """As `subprocess.Popen`, for a command of this interpreter."""

    def __init__(
        self,
        args: Sequence[str | os.PathLike[str]],
        *,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        text: bool = False,
    ) -> None:
        self.args = [os.fspath(arg) for arg in args]
        if self.args[0] != sys.executable:
            raise ValueError(f"not a command of this interpreter: {self.args}")
        self._closing: list[int] = []
        self.stdin, in_end = self._stream(0, stdin, "wb")
        self.stdout, out_end = self._stream(1, stdout, "rb")
        self.stderr, err_end = (
            (None, out_end) if stderr == subprocess.STDOUT else self._stream(2, stderr, "rb")
        )
        if text:
            self.stdout = self.stdout and io.TextIOWrapper(self.stdout)
            self.stderr = self.stderr and io.TextIOWrapper(self.stderr)
        ends = [DupFd(fd) for fd in (in_end, out_end, err_end)]
        environment = dict(os.environ if env is None else env)
        here = os.fspath(cwd or Path.cwd())
        target: Any = _run
        self._process = _server().Process(
            target=target, args=(self.args[1:], environment, here, ends), daemon=False
        )
        self._process.start()
        for fd in self._closing:
            os.close(fd)

    def _stream(self, number: int, wanted: Any, mode: str) -> tuple[Any, int]:
        """Our end, where there is one, and the end of the process."""
        if wanted is None:
            return None, number
        if wanted == subprocess.PIPE:
            read, write = os.pipe()
            ours, theirs = (write, read) if mode == "wb" else (read, write)
            self._closing.append(theirs)
            return os.fdopen(ours, mode), theirs
        if wanted == subprocess.DEVNULL:
            fd = os.open(os.devnull, os.O_RDWR)
            self._closing.append(fd)
            return None, fd
        return None, wanted if isinstance(wanted, int) else wanted.fileno()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self._process.exitcode

    def send_signal(self, signal: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal)

    def kill(self) -> None:
        self._process.kill()


def run(
    args: Sequence[str | os.PathLike[str]],
    *,
    capture_output: bool = False,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """As `subprocess.run`."""
    text = options.pop("text", False)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if capture_output:
            options |= {"stdout": out, "stderr": err}
        process = Popen(args, **options)
        code = process.wait()
        printed: list[Any] = [None, None]
        if capture_output:
            for index, file in enumerate((out, err)):
                file.seek(0)
                printed[index] = file.read().decode() if text else file.read()
    done = subprocess.CompletedProcess(process.args, code, *printed)
    if check:
        done.check_returncode()
    return done


def _run(args: list[str], environment: dict[str, str], here: str, ends: list[Any]) -> None:
    """The forked process: what the command says, with its streams in place of the server's."""
    for number, end in enumerate(ends):
        os.dup2(end.detach(), number)
    sys.stdin = os.fdopen(0, "r")
    buffering = 1 if environment.get("PYTHONUNBUFFERED") else -1
    sys.stdout = os.fdopen(1, "w", buffering=buffering)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    os.environ.clear()
    os.environ.update(environment)
    # The server was started as this process was, with or without -B, and reads no environment.
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    os.chdir(here)
    # TensorFlow has imported JAX, which read its platforms from the server's environment.
    if "JAX_PLATFORMS" in environment and "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_platforms", environment["JAX_PLATFORMS"])
    paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = [path for path in paths if path not in sys.path]
    code = 0
    try:
        _execute(args)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()  # pyright: ignore[reportAttributeAccessIssue]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _execute(args: list[str]) -> None:
    safe = args[0] == "-P"
    first, *rest = (args[1:] if safe else args) or ["-"]
    if first == "-":
        sys.argv = ["-", *rest]
        sys.path.insert(0, "")
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), {"__name__": "__main__"})
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        if not safe:
            sys.path.insert(0, "")
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.argv = rest
        if not safe:
            sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        if not safe:
            sys.path.insert(0, str(Path(first).resolve().parent))
        runpy.run_path(first, run_name="__main__")
