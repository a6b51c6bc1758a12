"""A command under torchrun, on this machine's CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backends")]),
}


def torchrun(processes: int, module: Sequence[str], *given: str) -> list[str]:
    """The words that run `python -m module` in so many processes, on a port that is free."""
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={processes}",
        *given,
    ]
    return [*launcher, "-m", *module]


def started(command: Sequence[str], here: Path) -> subprocess.Popen[str]:
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=here, env=ENVIRONMENT, text=True, **pipes)
