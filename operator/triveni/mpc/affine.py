"""Numbers that depend on the batch size: ``fixed + per_row * rows``.

A program is compiled once and holds for any number of rows, since every dimension, size, stride and offset in it is
such a number. Anything that would not be (a product of two that both grow with the rows) is an error here, not a
program that is right for one batch size only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

type_json = int | list[int]


@dataclass(frozen=True, slots=True, order=False)
class Affine:
    """``fixed + per_row * rows``, an exact integer for every number of rows."""

    fixed: int
    per_row: int = 0

    def at(self, rows: int) -> int:
        """The value for a batch of `rows` rows."""
        return self.fixed + self.per_row * rows

    def __add__(self, other: Affine | int) -> Affine:
        other = affine(other)
        return Affine(self.fixed + other.fixed, self.per_row + other.per_row)

    __radd__ = __add__

    def __sub__(self, other: Affine | int) -> Affine:
        other = affine(other)
        return Affine(self.fixed - other.fixed, self.per_row - other.per_row)

    def __mul__(self, other: Affine | int) -> Affine:
        other = affine(other)
        if self.per_row and other.per_row:
            raise ValueError(f"({self}) * ({other}) is quadratic in the number of rows")
        return Affine(self.fixed * other.fixed, self.fixed * other.per_row + self.per_row * other.fixed)

    __rmul__ = __mul__

    def divided(self, divisor: int) -> Affine:
        """The exact quotient; ValueError if it is not whole for every number of rows."""
        if self.fixed % divisor or self.per_row % divisor:
            raise ValueError(f"({self}) is not divisible by {divisor}")
        return Affine(self.fixed // divisor, self.per_row // divisor)

    def aligned(self, step: int) -> Affine:
        """The next number that is a multiple of `step` for every number of rows."""
        return Affine(-(-self.fixed // step) * step, -(-self.per_row // step) * step)

    def __str__(self) -> str:
        if not self.per_row:
            return str(self.fixed)
        rows = "rows" if self.per_row == 1 else f"{self.per_row}*rows"
        return rows if not self.fixed else f"{self.fixed}+{rows}"

    def json(self) -> type_json:
        """An integer, or ``[fixed, per_row]`` where it depends on the rows."""
        return [self.fixed, self.per_row] if self.per_row else self.fixed


ROWS = Affine(0, 1)


def affine(value: Affine | int | list[int]) -> Affine:
    """Read an integer, the JSON form, or an Affine."""
    if isinstance(value, Affine):
        return value
    return Affine(value) if isinstance(value, int) else Affine(*value)


def line_through(rows_a: int, a: int, rows_b: int, b: int) -> Affine:
    """The affine number that is `a` for `rows_a` rows and `b` for `rows_b`; ValueError if there is none."""
    per_row, rest = divmod(b - a, rows_b - rows_a)
    if rest:
        raise ValueError(f"no whole line through {a} at {rows_a} rows and {b} at {rows_b} rows")
    return Affine(a - per_row * rows_a, per_row)


def product(dims: Iterable[Affine]) -> Affine:
    """The number of elements of a shape."""
    result = Affine(1)
    for dim in dims:
        result = result * dim
    return result


def strides(shape: tuple[Affine, ...]) -> tuple[Affine, ...]:
    """Row-major strides of a contiguous array, in elements."""
    return tuple(product(shape[axis + 1 :]) for axis in range(len(shape)))
