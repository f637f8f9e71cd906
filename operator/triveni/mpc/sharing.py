"""Replicated secret sharing in the ring mod 2^64 (Araki et al., CCS 2016; the arithmetic sharing of ABY3).

A secret is the sum of three components of which any two are uniform; party p holds components p and p+1 mod 3, so one
party alone learns nothing and any two of them hold it all.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.int64]


def components_of(party: int) -> tuple[int, int]:
    """The numbers of the two components that a party holds."""
    return party, (party + 1) % 3


def split(words: Words) -> tuple[Words, Words, Words]:
    """Three components of `words` (int64, any shape), two of them from the system's CSPRNG."""
    first, second = (np.frombuffer(os.urandom(words.nbytes), np.int64).reshape(words.shape) for _ in range(2))
    return first, second, words - first - second


def reveal(first: Words, second: Words, third: Words) -> Words:
    """The secret from its three components."""
    return first + second + third
