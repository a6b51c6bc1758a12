"""What PyTorch computes on: the device that is named, or the best one there is."""

from __future__ import annotations

import torch

from archspec.diagnostics import UsageError, quote


def place(name: str | None = None) -> torch.device:
    """The device; raises `Failure` where there is none of that name.

    >>> place("cpu")
    device(type='cpu')
    """
    try:
        found = torch.device(name or _best())
        torch.zeros(1, device=found).item()
    except (
        RuntimeError,
        AssertionError,
    ) as error:  # by assertion PyTorch says that it was built without
        raise UsageError(
            f"PyTorch has no device {quote(name or '')} here", f"there is {', '.join(_there())}"
        ) from error
    return torch.device("cuda", torch.cuda.current_device()) if str(found) == "cuda" else found


def described(device: torch.device) -> str:
    """For people."""
    if device.type == "cuda":
        count = torch.cuda.device_count()
        return f"{device} ({torch.cuda.get_device_name(device)})" + (
            f", 1 of {count}" if count > 1 else ""
        )
    return f"cpu, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type


def _best() -> str:
    return _there()[0]


def _there() -> list[str]:
    """The devices of this machine, the best one first."""
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [
        *(["cuda", *gpus] if gpus else []),
        *(["mps"] if torch.backends.mps.is_available() else []),
        "cpu",
    ]
