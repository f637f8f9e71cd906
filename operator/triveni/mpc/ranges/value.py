"""Bounds of one value of a network, and what linear steps and moving elements do to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from triveni.mpc.lowering import steps
from triveni.mpc.lowering.steps import Affine, Floats, Step
from triveni.mpc.ops import patches
from triveni.mpc.ranges.curve import Curve

ROUNDING = 2.0**-52
"""For each term of a sum, times the sum of absolute values: twice what adding it in any order can be wrong by."""

OTHER_TERMS = 8
"""Roundings of an element beside those of its sum."""


@dataclass(frozen=True, eq=False)
class Value:
    """Bounds of a value of shape S, as three rows (3, *S): the lowest, the highest, and how far it is from the real."""

    rows: Floats
    curve: Curve | None = field(default=None, repr=False)

    @classmethod
    def of(cls, low: Floats, high: Floats, error: Floats, curve: Curve | None = None) -> Value:
        """The bounds one by one, broadcast."""
        return cls(np.stack(np.broadcast_arrays(low, high, error)), curve)

    @property
    def low(self) -> Floats:
        """The least that it can be."""
        return np.asarray(self.rows[0])

    @property
    def high(self) -> Floats:
        """The most that it can be."""
        return np.asarray(self.rows[1])

    @property
    def error(self) -> Floats:
        """How far it is, at most, from what it would be in real numbers."""
        return np.asarray(self.rows[2])

    @property
    def magnitude(self) -> Floats:
        """The most that its absolute value can be."""
        return np.maximum(-self.low, self.high)

    def widened(self, by: Floats | float) -> Value:
        """The same, surely right if it was wrong by this."""
        return Value.of(self.low - by, self.high + by, self.error + by, self.curve)

    def times(self, number: int) -> Value:
        """The product with a public whole number."""
        curve = self.curve and self.curve.then(lambda v: v * number, abs(number) * self.curve.noise)
        ends = (self.low, self.high) if number > 0 else (self.high, self.low)
        return Value.of(number * ends[0], number * ends[1], abs(number) * self.error, curve)


def added(values: Sequence[Value]) -> Value:
    """The sum of values, broadcast."""
    low, high, error = (sum((getattr(x, end) for x in values), np.zeros(())) for end in ("low", "high", "error"))
    size = sum((x.magnitude + x.error for x in values), np.zeros(()))
    slack = (len(values) + OTHER_TERMS) * ROUNDING * size
    return Value.of(low, high, error, Curve.added([x.curve for x in values], float(slack.max()))).widened(slack)


def linear(step: Affine, rows: Floats, kernel: Floats) -> Floats:
    """The product without bias; a convolution place by place of its kernel, so that no windows are made."""
    if not isinstance(step, steps.Convolution):
        return np.asarray(rows @ kernel)
    images = np.pad(rows, [(0, 0), *step.pads, (0, 0)])
    reach = [(size - 1) * rate + 1 for size, rate in zip(kernel.shape[:2], step.dilation, strict=True)]
    sizes = [(n - r) // s + 1 for n, r, s in zip(images.shape[1:3], reach, step.strides, strict=True)]
    total = np.zeros((len(rows), *sizes, kernel.shape[-1]))
    for row, column in np.ndindex(*kernel.shape[:2]):
        starts = (row * step.dilation[0], column * step.dilation[1])
        places = (
            slice(start, start + (size - 1) * stride + 1, stride)
            for start, size, stride in zip(starts, sizes, step.strides, strict=True)
        )
        total += images[(slice(None), *places)] @ kernel[row, column]
    return total


def moved(step: Step, values: Sequence[Value]) -> Value:
    """Elements elsewhere, or added along an axis."""
    x = values[0]
    rows, curve = x.rows, x.curve
    match step:
        case steps.Rearrange():
            return _rearranged(x, step.shape)
        case steps.Join():
            joined = np.concatenate([value.rows for value in values], step.axis + 1)
            last = step.axis + 2 == joined.ndim
            return Value(joined, Curve.joined([value.curve for value in values]) if last else None)
        case steps.Slice():
            part = tuple(map(slice, step.start, step.stop))
            # A function of each element, of which some are left out.
            along_last = rows[0][(*part[:-1], slice(None))].shape == rows[0].shape
            sliced = curve.then(lambda v: v[part], curve.noise) if curve and along_last else None
            return Value(rows[(slice(None), *part)], sliced)
        case steps.Transpose():
            return Value(rows.transpose(0, *(axis + 1 for axis in step.order)))
        case steps.Pad():
            return Value(np.pad(rows, [(0, 0), *step.pads]))
        case steps.Repeat():
            return Value(np.repeat(rows, step.times, step.axis + 1))
        case steps.Windows():
            columns = patches(rows, step.window, step.strides)
            return Value(columns.reshape(*columns.shape[:3], -1, rows.shape[-1]))
        case steps.SumAxis():
            slack = (rows.shape[step.axis + 1] + OTHER_TERMS) * ROUNDING * (x.magnitude + x.error).sum(step.axis)
            return Value(rows.sum(step.axis + 1)).widened(slack)
    raise AssertionError(step)


def _rearranged(x: Value, shape: tuple[int, ...]) -> Value:
    """Another shape. With an axis of one element more at the end a curve may begin, and without it it ends."""
    moved = Value(x.rows.reshape(3, *shape))
    if shape == (*x.low.shape, 1):
        return replace(moved, curve=Curve.of(x.low, x.high))
    if x.curve is None or shape != x.curve.low.shape:
        return moved
    low, high = (end.reshape(shape) for end in x.curve.hull())
    return Value.of(np.maximum(moved.low, low), np.minimum(moved.high, high), moved.error)
