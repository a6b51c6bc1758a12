"""The origin of a model's weights: a seed, or a file and the checks that it may fail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from archspec.diagnostics import UsageError
from archspec.ir.types import LIMIT


@dataclass(frozen=True, slots=True)
class WeightSource:
    """A file of weights, or a seed where `path` is None.

    >>> WeightSource(Path("lenet5.safetensors"), reinit=("head.*",)).file.name
    'lenet5.safetensors'
    """

    path: Path | None = None
    seed: int = 0
    """The seed of initial weights, those that `reinit` names included."""
    reinit: tuple[str, ...] = ()
    """Patterns of tensors that are initialised although the file may have them."""
    ignore_spec: bool = False
    """Take a checkpoint of another spec whose tensors fit."""
    allow_nonfinite: bool = False
    """Take NaN and infinite values."""

    def __post_init__(self) -> None:
        if abs(self.seed) > LIMIT:
            raise UsageError(f"a seed lies between -2^62 and 2^62, found {self.seed}")

    @property
    def file(self) -> Path:
        """The path; raise ValueError if the weights come from a seed."""
        if self.path is None:
            raise ValueError("these weights come from a seed, not from a file")
        return self.path


SEED_0 = WeightSource()
"""Initial weights from the seed 0."""
