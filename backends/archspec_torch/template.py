"""The end of every emitted file, from `attribute` on, with the network's class for `Network`."""

from __future__ import annotations

from os import PathLike

from torch import nn

RENAMED = {"1x1": "b1x1", "convolution": ""}
EXACT = {"other.weight": "another.weight"}


class Network(nn.Module):
    """Stands for the emitted network."""


def attribute(name: str) -> str:
    """The attribute that holds the tensor which the spec calls `name`."""
    if name in EXACT:
        return EXACT[name]
    path = f".{name}."
    for theirs, ours in RENAMED.items():
        path = path.replace(f".{theirs}.", f".{ours}." if ours else ".")
    return path[1:-1]


def load_weights(model: nn.Module, path: str | PathLike[str]) -> None:
    """Load a safetensors file with the spec's names; raise ValueError for all that differs."""
    from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

    tensors = {attribute(name): tensor for name, tensor in load_file(path).items()}
    expected = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    faults = [f"{name} is missing" for name in expected if name not in tensors]
    faults += [f"{name} is unexpected" for name in tensors if name not in expected]
    for name in expected.keys() & tensors.keys():
        if tensors[name].shape != expected[name].shape:
            faults.append(
                f"{name} is {tuple(tensors[name].shape)}, expected {tuple(expected[name].shape)}"
            )
    if faults:
        raise ValueError(f"{path} does not fit the model: {'; '.join(sorted(faults))}")
    model.load_state_dict(tensors, strict=False)


def build_model(weights: str | PathLike[str] | None = None) -> Network:
    """Build the network in eval mode, with a safetensors file's weights or torch's own."""
    model = Network()
    if weights is not None:
        load_weights(model, weights)
    return model.eval()
