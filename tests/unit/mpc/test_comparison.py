"""The comparison on shares of residues: what its operations mean, for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.mpc.comparison import (
    COLUMNS,
    LOW_BITS,
    MODULUS,
    UNITS,
    blind,
    compare,
    deal_bits,
    has_zero,
    residues,
    rotate,
)

words = st.integers(-(2**63), 2**63 - 1)
draws = st.lists(words, min_size=4, max_size=4).map(lambda row: np.array([row], np.int64))


def digits(draw: np.ndarray, modulus: int) -> list[int]:
    """The first digits of the fraction, by whole numbers of any size."""
    number = int.from_bytes(draw.tobytes(), "little")
    result = []
    for _ in range(COLUMNS):
        digit, number = divmod(number * modulus, 2**256)
        result.append(digit)
    return result


@given(draws, st.sampled_from([2, UNITS, MODULUS, 255]))
def test_residues_are_the_digits_of_a_fraction_of_2_to_the_256(draw: np.ndarray, modulus: int) -> None:
    assert residues(draw, modulus)[0].tolist() == digits(draw, modulus)


def test_a_row_of_residues_is_uniform_to_within_2_to_the_minus_89() -> None:
    """Each row has the same number of the 2^256 fractions, or one more."""
    assert MODULUS**COLUMNS < 2 ** (256 - 89)


def test_the_modulus_is_large_enough_for_one_zero_at_most() -> None:
    largest_column = 1 + 1 + (COLUMNS - 1)
    assert max(largest_column, COLUMNS + 1) < MODULUS
    assert all(MODULUS % factor for factor in range(2, MODULUS)), "blinding needs units"


def pair(c: int, r: int, beta: int, own: np.ndarray, others: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Both servers' columns as they are sent."""
    share, factor, shift = residues(own, MODULUS), residues(others[0], UNITS), residues(others[1], MODULUS)
    by = (others[2][:, 0] & 0xFF).astype(np.uint8)
    shares = (share, deal_bits(np.array([r]), share))
    opened, coin = np.array([c]), np.array([bool(beta)])
    first, second = (
        rotate(blind(compare(opened, shares[role], coin, role), factor, shift, role), by) for role in (0, 1)
    )
    return first, second


near = st.integers(-2, 2)


@given(words, words, near, st.booleans(), st.integers(0, 1), draws, st.lists(draws, min_size=3, max_size=3))
def test_there_is_one_zero_if_and_only_if_r_is_more_than_c_unless_the_coin_turns_it_round(
    c: int, other: int, apart: int, close: bool, beta: int, own: np.ndarray, others: list[np.ndarray]
) -> None:
    r = max(-(2**63), min(c + apart, 2**63 - 1)) if close else other
    first, second = pair(c, r, beta, own, others)
    zeros = ((first.astype(int) + second) % MODULUS == 0).sum()
    more = (r & LOW_BITS) > (c & LOW_BITS)
    assert zeros == int(more ^ bool(beta))
    assert bool(has_zero(first, second)[0]) == bool(zeros)


@pytest.mark.parametrize("low", [0, 1, 2**30, LOW_BITS - 1, LOW_BITS])
@pytest.mark.parametrize("beta", [0, 1])
def test_equal_numbers_are_not_more(low: int, beta: int) -> None:
    rng = np.random.default_rng(low)
    own, *others = (rng.integers(-(2**63), 2**63 - 1, (1, 4)) for _ in range(4))
    first, second = pair(low, low, beta, own, others)
    assert bool(has_zero(first, second)[0]) == bool(beta)


@given(st.integers(0, 255), st.lists(st.integers(0, 255), min_size=COLUMNS, max_size=COLUMNS))
def test_a_rotation_moves_column_k_to_k_plus_n(by: int, row: list[int]) -> None:
    moved = rotate(np.array([row], np.uint8), np.array([by], np.uint8))[0]
    assert [moved[(k + by) % COLUMNS] for k in range(COLUMNS)] == row
