"""Numbers that depend on the batch size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.mpc.affine import ROWS, Affine, affine, line_through, product, strides

numbers = st.integers(-(2**40), 2**40)
rows = st.integers(1, 4096)
affines = st.builds(Affine, numbers, numbers)


@given(affines, affines, rows)
def test_sums_and_differences_are_those_of_the_values(a: Affine, b: Affine, n: int) -> None:
    assert (a + b).at(n) == a.at(n) + b.at(n)
    assert (a - b).at(n) == a.at(n) - b.at(n)


@given(affines, numbers, rows)
def test_a_product_with_a_fixed_number_is_that_of_the_values(a: Affine, k: int, n: int) -> None:
    assert (a * k).at(n) == (k * a).at(n) == a.at(n) * k


def test_a_product_that_grows_with_the_square_of_the_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="quadratic"):
        ROWS * ROWS


@given(affines, rows, rows)
def test_the_line_through_two_values_is_the_number_that_has_them(a: Affine, m: int, n: int) -> None:
    if m != n:
        assert line_through(m, a.at(m), n, a.at(n)) == a


def test_two_values_without_a_whole_line_are_refused() -> None:
    with pytest.raises(ValueError, match="no whole line"):
        line_through(2, 1, 4, 2)


@given(affines, st.sampled_from([1, 8, 64]), rows)
def test_an_aligned_number_is_a_multiple_and_not_smaller(a: Affine, step: int, n: int) -> None:
    aligned = a.aligned(step)
    assert aligned.at(n) % step == 0
    assert aligned.at(n) >= a.at(n)


def test_division_is_exact_or_refused() -> None:
    assert Affine(4, 6).divided(2) == Affine(2, 3)
    with pytest.raises(ValueError, match="not divisible"):
        Affine(4, 5).divided(2)


@given(affines)
def test_its_json_reads_back(a: Affine) -> None:
    assert affine(a.json()) == a


def test_sizes_and_strides_of_a_batch_are_affine() -> None:
    shape = (ROWS, Affine(3), Affine(5))
    assert product(shape) == Affine(0, 15)
    assert strides(shape) == (Affine(15), Affine(5), Affine(1))
    assert strides((Affine(64), ROWS, Affine(2)))[0] == Affine(0, 2)


def test_it_reads_well() -> None:
    assert [str(a) for a in (Affine(3), ROWS, Affine(0, 2), Affine(1, 2))] == ["3", "rows", "2*rows", "1+2*rows"]
