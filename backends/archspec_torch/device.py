"""The device that PyTorch computes on: the one asked for, or the best one there is."""

from __future__ import annotations

import torch

from archspec.diagnostics import UsageError, quote


def select_device(name: str | None = None) -> torch.device:
    """Return the device of that name, by default the best one; raise `UsageError` if there is none.

    >>> select_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name or _available_devices()[0])
        torch.zeros(1, device=device).item()
    except (
        RuntimeError,
        AssertionError,
    ) as error:  # an AssertionError if torch is built without it
        message = f"PyTorch has no device {quote(name or '')} here"
        raise UsageError(message, f"there is {', '.join(_available_devices())}") from error
    if str(device) == "cuda":
        return torch.device("cuda", torch.cuda.current_device())
    return device


def describe_device(device: torch.device) -> str:
    """Return a device as people know it, with the GPU's name or the number of threads."""
    if device.type == "cpu":
        return f"cpu, {torch.get_num_threads()} threads"
    if device.type != "cuda":
        return device.type
    count = torch.cuda.device_count()
    name = f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{name}, 1 of {count}" if count > 1 else name


def _available_devices() -> list[str]:
    """Return the names of this machine's devices, the best one first."""
    devices: list[str] = []
    if count := torch.cuda.device_count():
        devices += ["cuda", *(f"cuda:{index}" for index in range(count))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]
