"""`train`: the recipe that a paper trains its network by, and that `archspec train` follows.

>>> recipe = Recipe(learning_rate=0.1, epochs=4, schedule=Schedule(kind="step", every=2, factor=0.5))
>>> [recipe.rate(step, 10) for step in (0, 19, 20, 39)]
[0.1, 0.1, 0.05, 0.05]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from archspec.ir.section import Section
from archspec.ir.types import Positive

Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


def _refuse_idle(
    section: Section, reads: Mapping[str, tuple[str, ...]], chosen: str, what: str
) -> None:
    """Raises ValueError for a field that is stated and that the choice does not read."""
    for name, choices in reads.items():
        if name in section.model_fields_set and chosen not in choices:
            raise ValueError(f"`{name}` is for {what} {' and '.join(choices)}, found {chosen}")


class Schedule(Section):
    """`train.schedule`: how the learning rate moves."""

    kind: Literal["constant", "step", "cosine", "poly"] = Field(
        default="constant", description="Its shape."
    )
    every: Positive | None = Field(default=None, description="step: epochs between two changes.")
    factor: Factor | None = Field(default=None, description="step: what the rate is multiplied by.")
    power: Annotated[float, Field(gt=0)] = Field(default=1.0, description="poly: the exponent.")
    final: Share = Field(
        default=0.0, description="cosine, poly: what share of the rate is left at the end."
    )
    warmup: Annotated[int, Field(ge=0)] = Field(default=0, description="Epochs of linear warm-up.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        reads = {
            "every": ("step",),
            "factor": ("step",),
            "power": ("poly",),
            "final": ("cosine", "poly"),
        }
        _refuse_idle(self, reads, self.kind, "the schedule")
        if self.kind == "step" and (self.every is None or self.factor is None):
            raise ValueError("a schedule of steps needs `every` and `factor`")
        return self

    def share(self, step: int, steps: int, epochs: int) -> float:
        """What the learning rate is multiplied by at a step, counted from 0, of so many an epoch.

        Warm-up rises linearly to 1 at its last step. A schedule of steps counts epochs from the start; the others go
        from the end of the warm-up, step by step, and would reach their end at the step after the last one.
        """
        rising = self.warmup * steps
        if step < rising:
            return (step + 1) / rising
        done = (step - rising) / max(epochs * steps - rising, 1)
        match self.kind:
            case "constant":
                return 1.0
            case "step":
                assert self.every is not None
                assert self.factor is not None
                return self.factor ** (step // steps // self.every)
            case "cosine":
                return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(done, 1))) / 2
            case "poly":
                return self.final + (1 - self.final) * (1 - min(done, 1)) ** self.power


class Augment(Section):
    """`train.augment`: how pictures are varied in training; what is not stated is left as it is."""

    area: tuple[Factor, Factor] | None = Field(
        default=None,
        description="A random crop's share of the picture: least and most.",
        strict=False,
    )
    aspect: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = Field(
        default=(3 / 4, 4 / 3),
        description="Width by height of that crop: least and most.",
        strict=False,
    )
    shift: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Pixels to move by at most, each way."
    )
    flip: bool = Field(
        default=False, description="Left and right change places in every other picture."
    )
    brightness: Share = Field(default=0.0, description="The factor is within 1 - it and 1 + it.")
    contrast: Share = Field(default=0.0, description="As brightness, about the picture's mean.")
    saturation: Share = Field(default=0.0, description="As brightness, about the grey picture.")
    interpolation: Literal["stated", "random"] = Field(
        default="stated",
        description="`random`: one of the methods for each picture; else that of `preprocess`.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, pair in (("area", self.area or (1, 1)), ("aspect", self.aspect)):
            if pair[0] > pair[1]:
                raise ValueError(f"`{name}` states the least first, found {pair[0]} and {pair[1]}")
        if "aspect" in self.model_fields_set and self.area is None:
            raise ValueError("`aspect` is for the crop that `area` states")
        return self


class Recipe(Section):
    """`train`: the recipe that the paper trains the network by."""

    optimizer: Literal["sgd", "adamw"] = Field(default="sgd", description="The update rule.")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="At the start."
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="sgd: how much of a step goes on."
    )
    nesterov: bool = Field(default=False, description="sgd: Nesterov's momentum.")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        default=(0.9, 0.999), description="adamw: how much of both moments stays.", strict=False
    )
    eps: Annotated[float, Field(gt=0)] = Field(
        default=1e-8, description="adamw: added to the root."
    )
    weight_decay: Amount = Field(default=0.0, description="Pull towards zero.")
    no_decay: tuple[Literal["bias", "norm"], ...] = Field(
        default=(),
        description="What does not decay: biases, the scales and shifts of norms.",
        strict=False,
    )
    schedule: Schedule = Field(default_factory=Schedule, description="How the learning rate moves.")
    epochs: Positive | None = Field(default=None, description="Passes over the data.")
    batch: Positive | None = Field(default=None, description="Samples in a step.")
    accumulate: Positive = Field(default=1, description="In how many parts a batch is computed.")
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="The largest norm of all gradients together; larger ones are scaled.",
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Share of a label that goes to all classes alike."
    )
    average: Literal["none", "polyak", "ema"] = Field(
        default="none", description="Which mean of the weights is the final model."
    )
    ema_decay: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.999, description="ema: how much of it stays at a step."
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="What layers compute in; weights stay in float32."
    )
    augment: Augment = Field(default_factory=Augment, description="How pictures are varied.")
    freeze: tuple[str, ...] = Field(
        default=(), description="Tensors that stay as they are, as in `stem.*`.", strict=False
    )
    lr_multipliers: dict[str, Amount] = Field(
        default_factory=dict[str, float],
        description="Factors on the learning rate of tensors, as in `head.*: 10`.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        default=0, description="Of the order, of what is varied and dropped."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        reads = {"momentum": ("sgd",), "nesterov": ("sgd",), "betas": ("adamw",), "eps": ("adamw",)}
        _refuse_idle(self, reads, self.optimizer, "the optimizer")
        _refuse_idle(self, {"ema_decay": ("ema",)}, self.average, "the average")
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` needs a `momentum` above 0")
        if self.no_decay and not self.weight_decay:
            raise ValueError("`no_decay` needs a `weight_decay` above 0")
        if self.batch and self.batch < self.accumulate:
            raise ValueError(
                f"a batch of {self.batch} cannot be computed in {self.accumulate} parts"
            )
        if self.epochs and self.schedule.warmup > self.epochs:
            raise ValueError(
                f"a warm-up of {self.schedule.warmup} epochs does not end within {self.epochs}"
            )
        return self

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step, counted from 0, of so many an epoch."""
        assert self.learning_rate is not None
        assert self.epochs is not None
        return self.learning_rate * self.schedule.share(step, steps, self.epochs)
