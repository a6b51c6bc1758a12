"""`train`: the recipe that a paper trains its network by, and that `archspec train` follows.

>>> schedule = Schedule(kind="step", every=2, factor=0.5)
>>> recipe = Recipe(learning_rate=0.1, epochs=4, schedule=schedule)
>>> [recipe.learning_rate_at(step, 10) for step in (0, 19, 20, 39)]
[0.1, 0.1, 0.05, 0.05]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from archspec.ir.section import Section
from archspec.ir.types import Positive


@dataclass(frozen=True, slots=True)
class OnlyFor:
    """Marks a field that is read only if another field of its section has one of some values."""

    field: str
    values: tuple[str, ...]


Fraction = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]
FOR_SGD = OnlyFor("optimizer", ("sgd",))
FOR_ADAMW = OnlyFor("optimizer", ("adamw",))


def _check_read(section: Section) -> None:
    """Raise ValueError for a field that is stated but that another choice leaves unread."""
    for name, field in type(section).model_fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, OnlyFor)]
        for mark in marks if name in section.model_fields_set else ():
            chosen = getattr(section, mark.field)
            if chosen not in mark.values:
                takers = " and ".join(mark.values)
                what = "schedule" if mark.field == "kind" else mark.field
                raise ValueError(f"`{name}` is for the {what} {takers}, found {chosen}")


class Schedule(Section):
    """`train.schedule`: how the learning rate moves."""

    kind: Literal["constant", "step", "cosine", "poly"] = Field(
        default="constant", description="Its shape."
    )
    every: Annotated[Positive | None, OnlyFor("kind", ("step",))] = Field(
        default=None, description="step: epochs between two changes."
    )
    factor: Annotated[Factor | None, OnlyFor("kind", ("step",))] = Field(
        default=None, description="step: factor on the learning rate at each change."
    )
    power: Annotated[float, Field(gt=0), OnlyFor("kind", ("poly",))] = Field(
        default=1.0, description="poly: the exponent."
    )
    final: Annotated[Fraction, OnlyFor("kind", ("cosine", "poly"))] = Field(
        default=0.0, description="cosine, poly: the share of the learning rate left at the end."
    )
    warmup: Annotated[int, Field(ge=0)] = Field(default=0, description="Epochs of linear warm-up.")

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        _check_read(self)
        if self.kind == "step" and (self.every is None or self.factor is None):
            raise ValueError("a step schedule needs `every` and `factor`")
        return self

    def multiplier(self, step: int, steps: int, epochs: int) -> float:
        """Return the factor on the learning rate at a step, counted from 0, of `steps` an epoch.

        Warm-up rises linearly to 1 at its last step. A step schedule counts epochs from the start.
        The others run from the end of the warm-up, and would reach their end one step after the
        last.
        """
        warmup_steps = self.warmup * steps
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        done = min((step - warmup_steps) / max(epochs * steps - warmup_steps, 1), 1)
        match self.kind:
            case "constant":
                return 1.0
            case "step":
                assert self.every is not None
                assert self.factor is not None
                return self.factor ** (step // steps // self.every)
            case "cosine":
                return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2
            case "poly":
                return self.final + (1 - self.final) * (1 - done) ** self.power


class Augment(Section):
    """`train.augment`: how images are augmented in training; by default they are not."""

    renamed: ClassVar[Mapping[str, str]] = {"mirror": "flip"}

    area: tuple[Factor, Factor] | None = Field(
        default=None,
        description="Smallest and largest share of the image that a random crop has.",
        strict=False,
    )
    aspect: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = Field(
        default=(3 / 4, 4 / 3),
        description="Smallest and largest ratio of that crop's width to its height.",
        strict=False,
    )
    shift: Annotated[int, Field(ge=0)] = Field(
        default=0, description="The most pixels to move by, each way."
    )
    flip: bool = Field(default=False, description="Mirror every other image left to right.")
    brightness: Fraction = Field(default=0.0, description="The factor is within 1 - it and 1 + it.")
    contrast: Fraction = Field(
        default=0.0, description="As brightness, but about the image's mean."
    )
    saturation: Fraction = Field(
        default=0.0, description="As brightness, but about the grey image."
    )
    interpolation: Literal["stated", "random"] = Field(
        default="stated",
        description="`random`: any of the methods for each image; else that of `preprocess`.",
    )

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        for name, pair in (("area", self.area or (1, 1)), ("aspect", self.aspect)):
            if pair[0] > pair[1]:
                message = f"`{name}` states the smallest first, found {pair[0]} and {pair[1]}"
                raise ValueError(message)
        if "aspect" in self.model_fields_set and self.area is None:
            raise ValueError("`aspect` is for the crop that `area` states")
        return self


class Recipe(Section):
    """`train`: the recipe that the paper trains the network by."""

    renamed: ClassVar[Mapping[str, str]] = {
        "exempt": "no_decay",
        "rates": "lr_multipliers",
        "decay": "ema_decay",
        "clip": "clip_norm",
    }

    optimizer: Literal["sgd", "adamw"] = Field(default="sgd", description="The update rule.")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="At the start."
    )
    momentum: Annotated[Decay, FOR_SGD] = Field(
        default=0.0, description="sgd: the momentum coefficient."
    )
    nesterov: Annotated[bool, FOR_SGD] = Field(
        default=False, description="sgd: Nesterov's momentum."
    )
    betas: Annotated[tuple[Decay, Decay], FOR_ADAMW] = Field(
        default=(0.9, 0.999), description="adamw: decay of both moments.", strict=False
    )
    eps: Annotated[float, Field(gt=0), FOR_ADAMW] = Field(
        default=1e-8, description="adamw: added to the root."
    )
    weight_decay: NonNegative = Field(default=0.0, description="Pull towards zero.")
    no_decay: tuple[Literal["bias", "norm"], ...] = Field(
        default=(),
        description="Exempt from weight decay: biases, the scales and shifts of norms.",
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
    label_smoothing: Decay = Field(
        default=0.0, description="Share of a label that goes to all classes alike."
    )
    average: Literal["none", "polyak", "ema"] = Field(
        default="none", description="Which mean of the weights is the final model."
    )
    ema_decay: Annotated[float, Field(gt=0, lt=1), OnlyFor("average", ("ema",))] = Field(
        default=0.999, description="ema: the share of the mean kept at a step."
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="What layers compute in; weights stay in float32."
    )
    augment: Augment = Field(default_factory=Augment, description="How images are augmented.")
    freeze: tuple[str, ...] = Field(
        default=(), description="Tensors that are not trained, as in `stem.*`.", strict=False
    )
    lr_multipliers: dict[str, NonNegative] = Field(
        default_factory=dict[str, float],
        description="Factors on the learning rate of tensors, as in `head.*: 10`.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        default=0, description="Seed of the order, of augmentation and of dropout."
    )

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        _check_read(self)
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` needs a `momentum` above 0")
        if self.no_decay and not self.weight_decay:
            raise ValueError("`no_decay` needs a `weight_decay` above 0")
        if self.batch and self.batch < self.accumulate:
            message = f"a batch of {self.batch} cannot be computed in {self.accumulate} parts"
            raise ValueError(message)
        if self.epochs and self.schedule.warmup > self.epochs:
            message = (
                f"a warm-up of {self.schedule.warmup} epochs does not end within {self.epochs}"
            )
            raise ValueError(message)
        return self

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate at a step, counted from 0, of `steps` an epoch."""
        assert self.learning_rate is not None
        assert self.epochs is not None
        return self.learning_rate * self.schedule.multiplier(step, steps, self.epochs)
