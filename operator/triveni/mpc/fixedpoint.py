"""Fixed point in the ring mod 2^64: a real number v is the word round(v * 2^bits), bits by the protocol.

The bounds are where exactness is shown for the protocol's truncation (docs/engine.md): values beyond them are refused
here, when they are encoded, since a worker cannot see that they wrapped.
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
    """

    fractional_bits: int
    max_magnitude: float

    @property
    def scale(self) -> float:
        """What a number is multiplied with."""
        return float(2**self.fractional_bits)

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
    # Four products of two numbers of 2^10 add up to 2^22, where truncation ends.
    "ABY3": FixedPoint(20, float(2**10)),
    # One product of two numbers of 2^7 is 2^14, and below 2^15 the comparison is right. A truncation of a product of
    # value v fails with probability |v| * 2^32 / 2^64.
    "SecureNN": FixedPoint(16, float(2**7)),
}


def fixed_point(protocol: str) -> FixedPoint:
    """The numbers of a protocol; KeyError for an unknown one."""
    return FIXED_POINT[protocol]
