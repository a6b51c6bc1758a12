"""The PyTorch backend: readable source of one class a block. Emitting needs no torch."""

from __future__ import annotations

from archspec.backend import Backend, Format
from archspec.backend.lazy import lazy
from archspec_torch.lowerings import LOWERED

BACKEND = Backend(
    name="torch",
    framework="torch",
    extra="torch",
    lowered=frozenset(LOWERED),
    gaps={},
    float32_constants={"hard_sigmoid": "1/6 in its derivative"},
    emit=lazy("archspec_torch.source:emit"),
    load=lazy("archspec_torch.runtime:load_model"),
    predict=lazy("archspec_torch.runtime:predict"),
    tensor_layout=lazy("archspec_torch.layout:tensor_layout"),
    explain=lazy("archspec_torch.explain:explain"),
    open=lazy("archspec_torch.session:TorchSession"),
    trainer=lazy("archspec_torch.trainer:TorchTrainer"),
    init_process_group=lazy("archspec_torch.process_group:init_process_group"),
    modes=("eval", "train", "grad", "step"),
    precisions=("float32", "float64"),
    file_runners={".pt2": lazy("archspec_torch.exported:run_exported")},
    program_suffixes=(".pt2",),  # torch unpickles parts of it, and evaluates its sizes
    formats=(
        Format(
            name="state_dict",
            suffixes=(".pt", ".pth"),
            read=lazy("archspec_torch.files:read_state_dict"),
            write=lazy("archspec_torch.files:write_state_dict"),
            recognizes=lazy("archspec_torch.recognition:is_torch_file"),
            libraries={"torchvision": lazy("archspec_torch.libraries:torchvision_tensors")},
        ),
    ),
)

__all__ = ["BACKEND"]
