"""Ways to make the values of a merge fit: what to write, at which step, or which input to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from archspec.diagnostics import counted, quote
from archspec.frontend.size_changes import Change, net_scale, size_culprits
from archspec.ir.types import Shape, format_shape
from archspec.ops.conv import Conv, ConvTranspose
from archspec.ops.pool import AvgPool, MaxPool
from archspec.ops.shape import Resize

LegalInputs = Callable[[], Sequence[Shape]]
"""Return the nearest inputs at which no sizes clash."""


@dataclass(frozen=True)
class Mismatch:
    """An operand of a merge that does not fit the others, and what changed both on their way.

    `usual` is the shape that the others have, or that enters the merge. `is_shortcut` is set if the
    other is the very value that both come from.
    """

    name: str
    shape: Shape
    other: str
    usual: Shape
    changes: tuple[Change, ...]
    other_changes: tuple[Change, ...]
    is_shortcut: bool = False

    @property
    def is_rank(self) -> bool:
        return len(self.shape) != len(self.usual)

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes after the channels along which the sizes differ; none if their number does."""
        if self.is_rank:
            return ()
        rows = enumerate(zip(self.shape[1:], self.usual[1:], strict=True))
        return tuple(axis for axis, (n, m) in rows if n != m)

    @property
    def channels_differ(self) -> bool:
        return self.shape[0] != self.usual[0] and not self.is_rank

    @property
    def missing(self) -> tuple[int, ...]:
        """The rows that each axis of the operand lacks; negative for those it has too many."""
        return tuple(m - n for n, m in zip(self.shape[1:], self.usual[1:], strict=True))


def fix(mismatch: Mismatch, code: str, legal_inputs: LegalInputs) -> str:
    """Return the help for an operand: the changes that would make it fit."""
    if mismatch.is_rank:
        if len(mismatch.shape) == 1:
            linear = any(step.node.op.kind == "linear" for step in mismatch.changes)
            instead = " and use a `conv` of kernel 1 in place of `linear`" if linear else ""
            return f"remove the `flatten` of {quote(mismatch.name)}{instead}, or flatten every one"
        return "give every one the same number of axes"
    elementwise = code != "AS0301"
    parts: list[str] = []
    if mismatch.axes:
        parts += _size_fixes(mismatch, legal_inputs)
    elif elementwise:
        parts.append(f"give {quote(mismatch.name)} {counted(mismatch.usual[0], 'channel')}")
    if elementwise and mismatch.is_shortcut:
        parts += _projection(mismatch)
    return _either(parts)


def _either(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])}, or {parts[-1]}"


def _projection(mismatch: Mismatch) -> Iterator[str]:
    """Yield the convolution that gives a shortcut the operand's shape, where a stride does."""
    if not mismatch.channels_differ or not mismatch.other:
        return
    scale = net_scale([step for step in mismatch.changes if step.scale is not None]) or ()
    strides = {1 / factor for factor in scale if factor <= 1}
    options = f"out: {mismatch.shape[0]}, kernel: 1"
    if strides - {1}:
        if len(strides) > 1 or max(strides).denominator > 1:
            return
        options += f", stride: {max(strides)}"
    yield f"give {quote(mismatch.other)} a `conv: {{{options}}}`"


def _size_fixes(mismatch: Mismatch, legal_inputs: LegalInputs) -> Iterator[str]:
    culprits = size_culprits(mismatch.changes, mismatch.axes)
    size = format_shape(mismatch.usual[1:])
    setter = next((step for step in culprits if step.scale is None), None)
    net = net_scale(mismatch.changes)
    if setter is not None:
        yield _unset(setter, mismatch, size)
    elif net and all(net[axis] == 1 for axis in mismatch.axes) and culprits:
        yield from _rounding_fixes(mismatch, culprits, size)
        inputs = [format_shape(shape) for shape in legal_inputs()]
        if inputs:
            yield f"use an input of {' or '.join(inputs)}"
    else:
        yield _restride(mismatch, culprits, size)


def _unset(setter: Change, mismatch: Mismatch, size: str) -> str:
    """Return the fix of a step that sets the size: a global pool, a crop or a resize to a size."""
    if "size" in setter.step.arguments:
        return f"give {quote(setter.name)} `size: {size}`"
    back = f"resize: {{size: {size}, mode: nearest, coordinates: half_pixel}}"
    return f"remove {quote(setter.name)}, or put `{back}` behind it"


def _restride(mismatch: Mismatch, culprits: Sequence[Change], size: str) -> str:
    """Return the fix of another stride; a pool has one without a word."""
    last = culprits[-1] if culprits else None
    is_pool = last is not None and isinstance(last.node.op, MaxPool | AvgPool)
    if last is not None and is_pool and "stride" not in last.step.arguments:
        return (
            f"state the `stride` of {quote(last.name)}, which is its kernel's size unless stated, "
            f"and the padding that keep {size}"
        )
    return f"give {quote(mismatch.name)} the stride and padding that keep {size}"


def _rounding_fixes(mismatch: Mismatch, culprits: Sequence[Change], size: str) -> Iterator[str]:
    """Yield the fixes of a value that rounding or borders made smaller or larger."""
    upsampling = next((s for s in reversed(mismatch.changes) if _is_upsampling(s)), None)
    if upsampling is None:
        yield from _border_fixes(mismatch, culprits, size)
        return
    name = quote(upsampling.name)
    if isinstance(upsampling.node.op, ConvTranspose):
        if _fits_as_same(upsampling, mismatch):
            yield f"give {name} `padding: same`, which makes it in * stride"
        rows = _output_padding(upsampling, mismatch)
        if rows:
            yield f"give {name} `output_padding: [{', '.join(map(str, rows))}]`"
    elif upsampling.size == mismatch.shape[1:]:
        yield f"give {name} `size: {size}` in place of its `scale`"
    if min(mismatch.missing) >= 0 and mismatch.other:
        yield f"crop {quote(mismatch.other)} to {format_shape(mismatch.shape[1:])}"
    elif max(mismatch.missing) <= 0:
        yield f"crop {quote(mismatch.name)} to {size}"
    pools = [s for s in culprits if _rounds_down(s)]
    if pools and min(mismatch.missing) >= 0:
        yield f"state `rounding: ceil` at {quote(pools[-1].name)} and crop {quote(mismatch.name)}"


def _fits_as_same(upsampling: Change, mismatch: Mismatch) -> bool:
    """Return True if an upsampling to in * stride makes the operand fit."""
    rows = zip(upsampling.before[1:], upsampling.scale or (), strict=True)
    whole = tuple(n * factor for n, factor in rows)
    return upsampling.size == mismatch.shape[1:] != whole == mismatch.usual[1:]


def _is_upsampling(step: Change) -> bool:
    scale = step.scale
    return scale is not None and max(scale) > 1 and isinstance(step.node.op, ConvTranspose | Resize)


def _rounds_down(step: Change) -> bool:
    op = step.node.op
    return isinstance(op, MaxPool | AvgPool) and op.rounding == "floor" and min(step.slack) < 0


def _output_padding(upsampling: Change, mismatch: Mismatch) -> tuple[int, ...]:
    """Return the output padding with which the upsampling makes up what is missing, if any does."""
    op = upsampling.node.op
    assert isinstance(op, ConvTranspose)
    _, stride, dilation = op.axes(upsampling.before)
    is_rule = op.padding in ("same", "same_lower")
    if is_rule or upsampling.size != mismatch.shape[1:]:
        return ()
    stated = op.added_rows(upsampling.before)
    rows = tuple(e + d for e, d in zip(stated, mismatch.missing, strict=True))
    limits = map(max, zip(stride, dilation, strict=True))
    fits = all(0 <= row < limit for row, limit in zip(rows, limits, strict=True))
    return rows if fits else ()


def _border_fixes(mismatch: Mismatch, culprits: Sequence[Change], size: str) -> Iterator[str]:
    """Yield the padding that keeps the size of windows at stride 1."""
    extents: list[int] = []
    for step in culprits:
        op = step.node.op
        if not isinstance(op, Conv | MaxPool | AvgPool):
            yield f"give {quote(mismatch.name)} the padding or the crop that keep {size}"
            return
        extents += op.sliding_window(step.before).extent
    rule = "symmetric" if all(n % 2 for n in extents) else "same"
    names = " and ".join(quote(step.name) for step in culprits[:3])
    yield f"give {names} `padding: {rule}`, which keeps {size}"
