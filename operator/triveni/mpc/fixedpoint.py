"""Fixed point in the ring mod 2^64: a real number v is the word round(v * 2^bits), bits by the protocol.

The bounds are where the protocol's truncation and comparison are right (docs/engine.md). Inputs and weights beyond
theirs are refused here, when they are encoded, and a model whose values may pass theirs by `ranges`, when it is shared:
a worker cannot see that they wrapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """The numbers of one protocol.

    Attributes:
        fractional_bits: a word is the number times 2 to this.
        max_magnitude: the largest absolute value of an input or a weight.
        truncated_below: a product is below this in absolute value, else truncating it may give any number.
        compared_below: what a ReLU reads is below this in absolute value, else its sign may be taken for the other.
        chance: that truncating a product of value v fails all the same is at most |v| times this.
    """

    fractional_bits: int
    max_magnitude: float
    truncated_below: float
    compared_below: float
    chance: float = 0.0

    @property
    def scale(self) -> float:
        """What a number is multiplied with."""
        return float(2**self.fractional_bits)

    @property
    def unit(self) -> float:
        """The smallest number above 0. Truncation is wrong by at most this."""
        return 1 / self.scale

    @property
    def revealed_below(self) -> float:
        """Where the words end: an answer is below this in absolute value."""
        return float(2 ** (63 - self.fractional_bits))

    def encode(self, values: ArrayLike, what: str) -> NDArray[np.int64]:
        """Real numbers to words, rounded to the nearest multiple of 1 / `scale`.

        Raises:
            OutOfRange: a value is NaN, infinite or larger than `max_magnitude`; `what` names the array.
        """
        array = np.asarray(values, np.float64)
        fits = np.abs(array) <= self.max_magnitude  # false for NaN as well
        if not fits.all():
            index = tuple(int(i) for i in np.argwhere(~fits)[0])
            value = array[index]
            problem = "NaN" if np.isnan(value) else "infinite" if np.isinf(value) else "too large"
            raise OutOfRange(what, index, problem, self.max_magnitude)
        return np.rint(array * self.scale).astype(np.int64)

    def decode(self, words: NDArray[np.int64]) -> NDArray[np.float64]:
        """Words to real numbers."""
        return words / self.scale


@dataclass(eq=False)
class OutOfRange(ValueError):
    """A value that the fixed point cannot carry. It names the place and never the value, which is secret."""

    what: str
    index: tuple[int, ...]
    problem: str
    at_most: float

    def __str__(self) -> str:
        return f"{self.what}{list(self.index)} is {self.problem}; at most ±{self.at_most:g} can be carried"


FIXED_POINT: Mapping[str, FixedPoint] = {
    # Truncation is right up to |product| = 2^62, of which 40 bits are fractional; a sign is that of the whole word.
    "ABY3": FixedPoint(20, 2.0**10, truncated_below=2.0**22, compared_below=2.0**43),
    # The comparison looks at 31 bits and a sign. Truncation has no sharp end, only a chance of |v| * 2^32 / 2^64 to
    # fail: at 2^17, where it is not accepted any more, one in 32,768.
    "SecureNN": FixedPoint(16, 2.0**7, truncated_below=2.0**17, compared_below=2.0**15, chance=2.0**-32),
}


def fixed_point(protocol: str) -> FixedPoint:
    """The numbers of a protocol; KeyError for an unknown one."""
    return FIXED_POINT[protocol]
