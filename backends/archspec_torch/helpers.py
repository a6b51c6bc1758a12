"""Layers that torch lacks. Those that a network uses are copied into its file as they stand here.

The 1-D and 3-D forms are these with another number in their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PaddedConv2d(nn.Conv2d):
    """A convolution whose zero padding differs between the sides: pairs, the last axis first."""

    def __init__(self, *sizes: Any, sides: Sequence[int], **options: Any) -> None:
        super().__init__(*sizes, **options)  # pyright: ignore[reportUnknownMemberType]
        self.sides = list(sides)

    def forward(self, input: Tensor) -> Tensor:
        x = F.pad(input, self.sides)
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class CroppedConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that crops each side by its own amount, last axis first."""

    def __init__(self, *sizes: Any, sides: Sequence[int], **options: Any) -> None:
        super().__init__(*sizes, **options)  # pyright: ignore[reportUnknownMemberType]
        self.sides = [-side for side in sides]

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        whole = F.conv_transpose2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            0,
            self.output_padding,
            self.groups,
            self.dilation,
        )
        return F.pad(whole, self.sides)


class PaddedMaxPool2d(nn.MaxPool2d):
    """A max pool with any padding, by minus infinity: pairs, the last axis first."""

    def __init__(self, *sizes: Any, sides: Sequence[int], **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.sides = list(sides)

    def forward(self, input: Tensor) -> Tensor:
        x = F.pad(input, self.sides, value=float("-inf"))
        return F.max_pool2d(x, self.kernel_size, self.stride, 0, self.dilation)


class PaddedAvgPool2d(nn.AvgPool2d):
    """An average pool with any padding, last axis first; the overhang is never counted."""

    def __init__(
        self, *sizes: Any, sides: Sequence[int], overhang: Sequence[int], **options: Any
    ) -> None:
        super().__init__(*sizes, **options)
        self.sides, self.overhang = list(sides), list(overhang)

    def forward(self, input: Tensor) -> Tensor:
        border = 1.0 if self.count_include_pad else 0.0
        x = F.pad(F.pad(input, self.sides), self.overhang)
        counts = F.pad(
            F.pad(torch.ones_like(input[:1, :1]), self.sides, value=border), self.overhang
        )
        share = F.avg_pool2d(counts, self.kernel_size, self.stride)
        return F.avg_pool2d(x, self.kernel_size, self.stride) / share


class LocalResponseNorm(nn.LocalResponseNorm):
    """torch's own, in half precision on a CPU too, where the 3-D pool that it uses has none."""

    def forward(self, input: Tensor) -> Tensor:
        squares = (input * input).flatten(2).unsqueeze(1)
        means = F.avg_pool2d(squares, (self.size, 1), stride=1, padding=(self.size // 2, 0))
        return input / (self.k + self.alpha * means.view(input.shape)) ** self.beta


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels, at each position by itself."""

    def forward(self, input: Tensor) -> Tensor:
        x = F.layer_norm(
            input.movedim(1, -1), self.normalized_shape, self.weight, self.bias, self.eps
        )
        return x.movedim(-1, 1)


class ShuffleFeatures(nn.Module):
    """Interleaves groups of features: what nn.ChannelShuffle does where there are positions."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], self.groups, -1).transpose(1, 2).flatten(1)


class Reshape(nn.Module):
    """The same values of each sample under another shape."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = list(shape)

    def forward(self, x: Tensor) -> Tensor:
        return torch.unflatten(x.flatten(1), 1, self.shape)


class Crop(nn.Module):
    """Cuts the border off: pairs, the last axis first."""

    def __init__(self, sides: Sequence[int]) -> None:
        super().__init__()
        self.sides = [-side for side in sides]

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.sides)


class NearestResize(nn.Module):
    """Nearest neighbours in integer arithmetic, for size ratios that floats do not hold."""

    def __init__(self, size: Sequence[int], half_pixel: bool = False) -> None:
        super().__init__()
        self.size, self.half_pixel = list(size), half_pixel

    def forward(self, x: Tensor) -> Tensor:
        for axis, m in enumerate(self.size, 2):
            n, i = x.shape[axis], torch.arange(m, device=x.device)
            x = x.index_select(axis, (2 * i + 1) * n // (2 * m) if self.half_pixel else i * n // m)
        return x
