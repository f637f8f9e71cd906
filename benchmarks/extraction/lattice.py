"""Small solutions of linear congruences of which only the high bits are known, by a reduced lattice.

If a product's shares were not made afresh, server 2 of SecureNN would know such congruences in the weights: it dealt
the masks, and a client is given the upper 48 bits of a share.
"""

from __future__ import annotations

from collections.abc import Sequence

Vector = list[int]


def solve(known: Sequence[Vector], high: Sequence[int], modulus: int, slack: int, largest: int) -> Vector | None:
    """x with |x_j| <= `largest` and, for each row k of `known` and h of `high`, k.x - h in 0..`slack` mod `modulus`.

    None if there is none among the short vectors that are found.
    """
    rows, unknown = len(known), len(known[0])
    stretch = max(slack // largest, 1)
    basis = [[modulus * (i == j) for j in range(rows)] + [0] * (unknown + 1) for i in range(rows)]
    unit = [[stretch * (i == j) for i in range(unknown)] for j in range(unknown)]
    basis += [[*column, *at, 0] for column, at in zip(zip(*known, strict=True), unit, strict=True)]
    basis.append([-h - slack // 2 for h in high] + [0] * unknown + [slack])
    for vector in reduced(basis):
        if abs(vector[-1]) != slack:
            continue
        sign = vector[-1] // slack
        found = [sign * value // stretch for value in vector[rows:-1]]
        left = [sum(a * b for a, b in zip(row, found, strict=True)) - h for row, h in zip(known, high, strict=True)]
        if all(abs(x) <= largest for x in found) and all(value % modulus <= slack for value in left):
            return found
    return None


def reduced(basis: Sequence[Vector]) -> list[Vector]:
    """The lattice's basis reduced by Lenstra, Lenstra and Lovasz, in whole numbers (Cohen, algorithm 2.6.7)."""
    b = [list(vector) for vector in basis]
    size = len(b)
    d = [1] * (size + 1)
    mu = [[0] * size for _ in range(size)]

    def dot(x: Vector, y: Vector) -> int:
        return sum(p * q for p, q in zip(x, y, strict=True))

    def shorten(k: int, other: int) -> None:
        if 2 * abs(mu[k][other]) <= d[other + 1]:
            return
        q = (2 * mu[k][other] + d[other + 1]) // (2 * d[other + 1])
        b[k] = [x - q * y for x, y in zip(b[k], b[other], strict=True)]
        mu[k][other] -= q * d[other + 1]
        for i in range(other):
            mu[k][i] -= q * mu[other][i]

    def swap(k: int, last: int) -> None:
        b[k], b[k - 1] = b[k - 1], b[k]
        for j in range(k - 1):
            mu[k][j], mu[k - 1][j] = mu[k - 1][j], mu[k][j]
        m = mu[k][k - 1]
        middle = (d[k - 1] * d[k + 1] + m * m) // d[k]
        for i in range(k + 1, last + 1):
            t = mu[i][k]
            mu[i][k] = (d[k + 1] * mu[i][k - 1] - m * t) // d[k]
            mu[i][k - 1] = (middle * t + m * mu[i][k]) // d[k + 1]
        d[k] = middle

    k, last = 1, 0
    d[1] = dot(b[0], b[0])
    while k < size:
        if k > last:
            last = k
            for j in range(k + 1):
                u = dot(b[k], b[j])
                for i in range(j):
                    u = (d[i + 1] * u - mu[k][i] * mu[j][i]) // d[i]
                if j < k:
                    mu[k][j] = u
                else:
                    d[k + 1] = u
        shorten(k, k - 1)
        if 4 * (d[k + 1] * d[k - 1] + mu[k][k - 1] ** 2) < 3 * d[k] ** 2:
            swap(k, last)
            k = max(1, k - 1)
        else:
            for other in reversed(range(k - 1)):
                shorten(k, other)
            k += 1
    return b
