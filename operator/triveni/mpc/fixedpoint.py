"""Fixed point in the ring mod 2^64: a real number v is the word round(v * 2^20).

The bounds are where privacy and exactness are proved for TF Encrypted's truncation (|product| <= 2^62, docs/engine.md):
values beyond them are refused here, when they are encoded, since a worker cannot see that they wrapped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FRACTIONAL_BITS = 20

SCALE = float(2**FRACTIONAL_BITS)

MAX_MAGNITUDE = float(2**10)
"""Largest absolute value of an input or a weight: four products of two of them add up to 2^22, truncation's bound."""


@dataclass(eq=False)
class OutOfRange(ValueError):
    """A value that the fixed point cannot carry. It names the place and never the value, which is secret."""

    what: str
    index: tuple[int, ...]
    problem: str

    def __str__(self) -> str:
        return f"{self.what}{list(self.index)} is {self.problem}; at most ±{MAX_MAGNITUDE:g} can be carried"


def encode(values: ArrayLike, what: str) -> NDArray[np.int64]:
    """Real numbers to words, rounded to the nearest multiple of 2^-20.

    Raises:
        OutOfRange: a value is NaN, infinite or larger than `MAX_MAGNITUDE`; `what` names the array.
    """
    array = np.asarray(values, np.float64)
    fits = np.abs(array) <= MAX_MAGNITUDE  # false for NaN as well
    if not fits.all():
        index = tuple(int(i) for i in np.argwhere(~fits)[0])
        value = array[index]
        problem = "NaN" if np.isnan(value) else "infinite" if np.isinf(value) else "too large"
        raise OutOfRange(what, index, problem)
    return np.rint(array * SCALE).astype(np.int64)


def decode(words: NDArray[np.int64]) -> NDArray[np.float64]:
    """Words to real numbers."""
    return words / SCALE
