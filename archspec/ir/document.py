"""The sections of a spec around its network: source, heads, claims, preprocessing, initial weights.

Bodies of blocks and of the network are not here: `frontend/body_parser.py` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from archspec.ir.op import Role
from archspec.ir.recipe import Recipe
from archspec.ir.section import Section
from archspec.ir.types import Positive, Shape, Size, format_shape


class Origin(Section):
    """`source`: the paper that a spec follows."""

    title: str = Field(description="Title of the paper.")
    authors: str | None = Field(default=None, description="Authors, as cited.")
    venue: str | None = Field(default=None, description="Where it was published.")
    year: int | None = Field(default=None, description="When it was published.")
    table: int | str | None = Field(default=None, description="The table that the network follows.")
    url: str | None = Field(default=None, description="Where to read it.")
    note: str | None = Field(default=None, description="Anything else that a reader should know.")

    def __str__(self) -> str:
        table = f"table {self.table}" if self.table is not None else None
        parts = (self.title, self.authors, self.venue, str(self.year) if self.year else None, table)
        return ", ".join(part for part in parts if part)


class HeadSection(Section):
    """`heads.NAME`: an output and how it is trained; `main` is the output of the network itself."""

    block: str | None = Field(
        default=None, description="The block that computes it from the step that it is attached to."
    )
    at: str | None = Field(
        None,
        alias="from",
        description="The step it is attached to, unless a step names it under `aux`.",
    )
    loss: Literal["cross_entropy", "binary_cross_entropy", "mse", "none"] = Field(
        default="cross_entropy", description="Its loss."
    )
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=1.0, description="Its weight in the total loss."
    )
    only: Literal["train"] | None = Field(
        default=None, description="`train`: left out of eval mode and of the counts."
    )
    classes: Positive | None = Field(
        default=None, description="Number of classes; the width of the output is checked."
    )


Total = Literal["params", "params_with_aux", "macs", "macs_with_aux", "depth", "depth_with_pools"]


class Claims(Section):
    """`claims`: how to read the figures that a table prints, and which are known misprints."""

    units: dict[str, Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0)]] = Field(
        default_factory=lambda: {"K": 1000, "M": 1000000, "G": 1000000000},
        description="Values of K, M and G.",
    )
    tolerance: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.02, description="Relative difference that counts as rounding."
    )
    errata: dict[str, str] = Field(
        default_factory=dict, description="By step: why its printed figures differ from ours."
    )
    totals: dict[Total, int | str] = Field(
        default_factory=dict[Total, int | str],
        description="Figures printed for the whole network.",
    )


NO_IMAGE = "leave `preprocess` out: the network takes arrays of numbers, and no images"


class Preprocess(Section):
    """`preprocess`: from an image to the input.

    Resize, crop, then (value * scale - mean) / std per channel.
    """

    resize: Positive | Size | None = Field(
        default=None, description="Shorter side, or exact HxW, before the crop."
    )
    interpolation: Literal["nearest", "bilinear", "bicubic", "area"] = Field(
        default="bilinear", description="Interpolation of the resize."
    )
    crop: Literal["center", "none"] = Field(
        default="center", description="Crop to the input's size."
    )
    channels: Literal["rgb", "bgr", "gray"] = Field(
        default="rgb", description="Order of the channels."
    )
    scale: Annotated[float, Field(allow_inf_nan=False)] = Field(
        default=1 / 255, description="Factor on the bytes 0..255."
    )
    mean: Annotated[tuple[float, ...], Field(strict=False)] = Field(
        default=(0.0,), description="Subtracted per channel."
    )
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(strict=False)] = Field(
        default=(1.0,), description="Divisor per channel."
    )
    invert: bool = Field(default=False, description="Turn dark on light into light on dark.")

    def misfits(self, shape: Shape) -> Iterator[tuple[str, str, str]]:
        """Yield key, message and help of each setting that does not fit an input of that shape.

        >>> [key for key, _, _ in Preprocess(mean=(0.5, 0.5)).misfits((3, 32, 32))]
        ['mean']
        """
        channels = 1 if self.channels == "gray" else 3
        kind = f"a {self.channels} image has {channels} channel{'s' if channels > 1 else ''}"
        takes = f"the network takes {format_shape(shape)}"
        if len(shape) != 3:
            yield "channels", f"{takes}, but {kind}", NO_IMAGE
        elif shape[0] != channels:
            fitting = {1: "`channels: gray`", 3: "`channels: rgb` or `bgr`"}.get(shape[0])
            help = f"state {fitting} under `preprocess`" if fitting else NO_IMAGE
            yield "channels", f"{takes}, but {kind}", help
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                help = f"state {channels}, or one for all" if channels > 1 else "state one"
                numbers = f"{len(values)} number{'s' if len(values) != 1 else ''}"
                yield name, f"`{name}` has {numbers}, but {kind}", help
        if isinstance(self.resize, tuple) and len(self.resize) > 2:
            message = f"`resize` is the shorter side or HxW, found {format_shape(self.resize)}"
            yield "resize", message, ""


class Initializer(Section):
    """An initialiser with its option: `{normal: 0.01}`, `{constant: 0.2}`, `{uniform: 0.1}`, ..."""

    constant: float | None = Field(default=None, description="The value of every element.")
    normal: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="Standard deviation."
    )
    truncated_normal: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="Standard deviation; the distribution is truncated at two of it."
    )
    uniform: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="Half width of the range around zero."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(number is not None for _, number in self) != 1:
            raise ValueError("an initialiser has one key, as in {normal: 0.01}")
        return self


InitRule = Literal[
    "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"
]
Init = InitRule | float | Initializer
"""Initial values: a rule by name, a constant, or an initialiser with its options."""


class Document(Section):
    """A spec without its bodies."""

    source: Origin | None = None
    heads: dict[str, HeadSection] = Field(default_factory=dict)
    claims: Claims | None = None
    preprocess: Preprocess | None = None
    labels: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    init: dict[str, dict[Role, Init]] = Field(default_factory=dict)
    train: Recipe | None = None
