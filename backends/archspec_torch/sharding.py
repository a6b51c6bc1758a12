"""Parameters, gradients and slots divided among processes, by torch's `fully_shard` (FSDP)."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateImportUsage=false
# Torch types `torch.distributed` only in part.

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import distributed, nn

from archspec.backend.trainer import TrainerConfig
from archspec.diagnostics import UsageError


def check_shardable(config: TrainerConfig) -> None:
    """Raise `UsageError` for what does not go with a sharded model."""
    if config.compile:
        raise UsageError("`--shard full` does not go with `--compile`", "leave one of them out")
    if config.recipe.precision == "float16":
        message = "`--shard full` has no loss scale, which float16 needs"
        raise UsageError(message, "--set train.precision=bfloat16")


def shard(model: nn.Module, device: torch.device) -> nn.Module:
    """Divide a model among all processes in place, a part of the network at a time.

    Each part moves to the device as it is divided. Its parameters are whole only while it computes.
    """
    # Not imported at the top: that takes half a second.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
        message = f"PyTorch {torch.__version__} is too old for `--shard full`"
        raise UsageError(message, "pip install --upgrade torch")
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    for part in [*_parts(model), model]:
        fully_shard(part, mesh=mesh)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            # The sum: the mean, torch's default, would give samples of a small share more weight.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
    return model


def _parts(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the parts of a network that are called as a whole and have parameters."""
    for part in model.children():
        if isinstance(part, nn.ModuleList):
            yield from _parts(part)
        elif next(part.parameters(), None) is not None:
            yield part


class WholeModel:
    """A sharded model in one piece, to predict: the processes need not do so equally often.

    It holds what was last saved or restored, and is old once a step was taken. It is on the device
    only from its first use on, until the next step.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model = model
        self.device = device
        self.is_old = True

    def forget(self) -> None:
        self.is_old = True
        self.model.cpu()

    def renew(self) -> nn.Module:
        """Return the model, to be filled with whole tensors."""
        self.is_old = False
        return self.model

    def use(self) -> nn.Module:
        return self.model.to(self.device)
