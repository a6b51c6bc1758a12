"""What `--shard full` is refused with, and the way out that is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.backend.trainer import TrainerConfig
from archspec.cli import main
from archspec.diagnostics import UsageError
from archspec.ir.recipe import Recipe
from archspec_torch.sharding import check_shardable
from tests.helpers.ranks import RUN
from tests.helpers.specs import checked


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_one_process_has_nobody_to_share_with(
    backend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(RUN)
    np.savez("noise.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 3)
    command = ["train", "small.yaml", "--data", "noise.npz", "-o", "run", "--shard", "full"]
    assert main([*command, "--backend", backend]) == 2
    said = capsys.readouterr().err
    assert "`--shard full` divides a model among processes, and there is one" in said
    assert "start several by torchrun, with `--backend torch`" in said
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        (Recipe(), {"compile": True}, "`--shard full` does not go with `--compile`"),
        (Recipe(precision="float16"), {}, "no loss scale, which float16 needs"),
    ],
)
def test_what_cannot_be_sharded_is_refused(
    recipe: Recipe, options: dict[str, Any], message: str
) -> None:
    graph = checked(RUN).graph
    with pytest.raises(UsageError, match=message):
        check_shardable(TrainerConfig(graph, recipe, **options))
    check_shardable(TrainerConfig(graph, Recipe(precision="bfloat16")))
