"""What server 2 can find out in a comparison whose two messages show how the columns were shared.

Server 2 dealt both shares of r's bits. If both servers multiply their share of a column by one unknown unit and send it
as it is, the quotient of the two is that of the shares themselves, which depend on r's bits, on s and on beta only. Bit
by bit from the top, few s and beta are left, and at last one: then c, and x = c - r, are known. A rotation does not
help, since there are few; what does is a fresh sharing of each column, as in `triveni.mpc.comparison.blind`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Key = tuple[int, int]

MOST = 4000
"""Beginnings of s that are kept; a search that has more has failed."""


def quotient(first: int, second: int, modulus: int) -> Key:
    """What a common factor does not change of two residues."""
    if second == 0:
        return (0, 0) if first == 0 else (1, 0)
    return 2, first * pow(second, -1, modulus) % modulus


def candidates(own: Sequence[np.ndarray], seen: Sequence[np.ndarray], modulus: int) -> set[tuple[int, int]]:
    """Every (s, beta) that explains what was seen, a row of columns from each server, given both shares of r's bits."""
    width = len(own[0])
    (x0, x1), (v0, v1) = ([[int(value) for value in row] for row in rows] for rows in (own, seen))
    observed = [quotient(a, b, modulus) for a, b in zip(v0, v1, strict=True)]
    left = [(beta, 0, 0, 0) for beta in (0, 1)]
    for column in reversed(range(width)):
        kept = []
        for beta, s, above0, above1 in left:
            sign = 1 - 2 * beta
            for bit in (0, 1):
                c0 = ((bit - x0[column]) * sign + 1 + above0) % modulus
                c1 = (-x1[column] * sign + above1) % modulus
                if quotient(c0, c1, modulus) == observed[column]:
                    differs0 = above0 + x0[column] + bit - 2 * bit * x0[column]
                    differs1 = above1 + x1[column] - 2 * bit * x1[column]
                    kept.append((beta, s | bit << column, differs0 % modulus, differs1 % modulus))
        left = kept
        if not left or len(left) > MOST:
            return set()
    return {(s, beta) for beta, s, _, _ in left}


def candidates_of_any_rotation(
    own: Sequence[np.ndarray], seen: Sequence[np.ndarray], modulus: int
) -> set[tuple[int, int]]:
    """The same where the columns may have been rotated."""
    found: set[tuple[int, int]] = set()
    for by in range(len(own[0])):
        found |= candidates(own, [np.roll(row, -by) for row in seen], modulus)
    return found
