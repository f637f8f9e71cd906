"""The operations of SecureNN's comparison, in numpy: residues mod 37 in rows of 32 columns, one for each low bit.

Two servers find out, with the help of a third that dealt r, whether r > s for two numbers of 31 and 32 bits, none of
which the third may learn and one of which the two may not. docs/engine.md has the protocol that is made of these.

Rows are the last axis: column k belongs to bit k. Residues are bytes. All functions are elementwise on the axes before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

COLUMNS = 32

MODULUS = 37
"""A prime above 33, the largest value of a column of `compare`, and above `COLUMNS` + 1 (docs/prover.md, lemma 7)."""

DRAW_WORDS = 4
"""Words of a draw that make one row of residues."""

LOW_BITS = 2**31 - 1
"""The part of a word that is compared."""

UNITS = MODULUS - 1
"""The number of residues that have an inverse."""


def residues(words: Array, modulus: int) -> Array:
    """Rows of 32 residues of int64 (..., 4), uniform to within 2^-89 if the words are.

    The 256 bits of a draw, word 0 the lowest, are a fraction of 2^256; residues are its first 32 digits in base
    `modulus`. Every value of the row comes from the same number of fractions, or one more, of which there are 2^256.
    """
    limbs = np.ascontiguousarray(words).view(np.uint32).astype(np.uint64)  # low limbs first, as memory is little-endian
    result = np.empty((*words.shape[:-1], COLUMNS), np.uint8)
    for column in range(COLUMNS):
        carry = np.zeros(words.shape[:-1], np.uint64)
        for limb in range(limbs.shape[-1]):
            product = limbs[..., limb] * np.uint64(modulus) + carry
            limbs[..., limb] = product & np.uint64(0xFFFFFFFF)
            carry = product >> np.uint64(32)
        result[..., column] = carry
    return result


def deal_bits(words: Array, share: Array) -> Array:
    """The other share of the low 31 bits of `words`, for the one that is given: bit minus share."""
    return ((_bits(words & LOW_BITS) + MODULUS - share) % MODULUS).astype(np.uint8)


def compare(opened: Array, share: Array, beta: Array, role: int) -> Array:
    """One of two servers' shares of 32 columns of which one is 0 if and only if r > s (beta = 0), or r < s (beta = 1).

    s is the low 31 bits of `opened`, plus beta; `share` this server's share of the bits of r. From the top, with the
    bits of both, column k is 1 + (s_k - r_k) * (1 - 2 beta) + the number of higher bits in which r and s differ: from 0
    to 33, and 0 only at the highest bit that differs, if it differs in the right direction. Role 0 adds what is public.
    """
    s = _bits((opened & LOW_BITS) + beta)
    r = share.astype(np.int64)
    public = 1 - role
    differs = r - 2 * s * r + public * s
    above = np.cumsum(differs[..., ::-1], axis=-1)[..., ::-1] - differs
    direction = np.where(beta, -1, 1)[..., np.newaxis]
    columns: Array = (public + (public * s - r) * direction + above) % MODULUS
    return columns.astype(np.uint8)


def blind(columns: Array, factor: Array, shift: Array, role: int) -> Array:
    """Shares of columns times a unit, `factor` + 1, with `shift` moved from server 1's share to server 0's."""
    sign = 1 - 2 * role
    product = columns.astype(np.int64) * (factor.astype(np.int64) + 1)
    return ((product + sign * shift.astype(np.int64)) % MODULUS).astype(np.uint8)


def rotate(columns: Array, by: Array) -> Array:
    """Column k becomes column k + `by` mod 32."""
    source = (np.arange(COLUMNS) - by[..., np.newaxis].astype(np.int64)) % COLUMNS
    return np.asarray(np.take_along_axis(columns, source, axis=-1))


def has_zero(first: Array, second: Array) -> Array:
    """Whether there is a 0 among the columns whose two shares these are."""
    total = first.astype(np.int64) + second
    return np.asarray((total % MODULUS == 0).any(axis=-1))


def _bits(words: Array) -> Array:
    """The low 32 bits of each word, as int64 (..., 32)."""
    return np.asarray((words[..., np.newaxis] >> np.arange(COLUMNS)) & 1)
