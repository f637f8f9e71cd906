"""Steps that together are one curve: their bounds are those of the curve, not those of its terms.

A sigmoid is a sum of ReLUs, each as large as its input, whose sum is not. Lowering writes such a curve of a value of
shape S between two Rearrange: to (*S, 1), and back. In between every element is a piecewise linear function of one
element of that value, so its extremes are at the ends of that element's interval and where the function bends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from triveni.mpc.lowering.steps import Floats


@dataclass(frozen=True, eq=False)
class Curve:
    """What the steps since the first Rearrange make of a value; functions side by side are on the last axis.

    Attributes:
        low, high: bounds of the value that they began with.
        at: what they make of one that is within those.
        shifts: all that was done is adding these; None if it was more.
        knots: where functions may bend.
        noise: by how much more it may be off: truncation, and rounding of floats.
    """

    low: Floats
    high: Floats
    at: Callable[[Floats], Floats]
    shifts: tuple[float, ...] | None = None
    knots: tuple[float, ...] = ()
    noise: float = 0.0

    @classmethod
    def of(cls, low: Floats, high: Floats) -> Curve:
        """The identity."""
        return cls(low, high, lambda v: v[..., np.newaxis], (0.0,))

    def then(self, function: Callable[[Floats], Floats], noise: float) -> Curve:
        """A linear function of each element's functions follows."""
        return replace(self, at=lambda v: function(self.at(v)), shifts=None, noise=noise)

    def shifted(self, by: Floats, noise: float) -> Curve:
        """A constant is added."""
        plain = self.shifts == (0.0,) and by.ndim == 1
        return replace(self.then(lambda v: v + by, noise), shifts=tuple(map(float, by)) if plain else None)

    def rectified(self) -> Curve | None:
        """max(x, 0) follows; None if it is not known where that bends."""
        if self.shifts is None:
            return None
        knots = (*self.knots, *(-shift for shift in self.shifts))
        return replace(self.then(lambda v: np.maximum(v, 0), self.noise), knots=knots)

    @classmethod
    def joined(cls, curves: Sequence[Curve | None]) -> Curve | None:
        """Functions of the same value side by side; None if they are not."""
        return cls._together(curves, lambda values: np.concatenate(values, -1), max)

    @classmethod
    def added(cls, curves: Sequence[Curve | None], noise: float) -> Curve | None:
        """The sum of functions of the same value; None if they are not."""
        return cls._together(curves, lambda values: np.asarray(sum(values)), lambda noises: sum(noises) + noise)

    def hull(self) -> tuple[Floats, Floats]:
        """The extremes of each function."""
        lowest = highest = self.at(self.low)
        for place in (self.high, *(np.clip(knot, self.low, self.high) for knot in self.knots)):
            value = self.at(place)
            lowest, highest = np.minimum(lowest, value), np.maximum(highest, value)
        return lowest - self.noise, highest + self.noise

    @classmethod
    def _together(
        cls,
        curves: Sequence[Curve | None],
        values: Callable[[Sequence[Floats]], Floats],
        noise: Callable[[Sequence[float]], float],
    ) -> Curve | None:
        known = [curve for curve in curves if curve is not None]
        if len(known) < len(curves) or any(curve.low is not known[0].low for curve in known):
            return None
        knots = tuple({knot: None for curve in known for knot in curve.knots})
        return cls(
            known[0].low,
            known[0].high,
            lambda v: values([curve.at(v) for curve in known]),
            knots=knots,
            noise=noise([curve.noise for curve in known]),
        )
