"""Trains on one GPU in a process group of one, over NCCL, for `test_training.py`."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from archspec.conformance.training import RECIPES, training_net
from archspec_torch.process_group import init_process_group
from tests.gpu.test_training import DEVICE, follow, open_on

NAMES = ("sgd", "in parts", "frozen")


def main(folder: Path, **options: Any) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    spec = training_net()
    with init_process_group() as group:
        assert DEVICE == "cpu" or distributed.get_backend_config() == "cpu:gloo,cuda:nccl"
        found = {
            name: follow(
                open_on(DEVICE, folder / name, spec, RECIPES[name], group=group, **options),
                spec,
            )
            for name in NAMES
        }
    (folder / "found.pickle").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), **json.loads(sys.argv[2]))
