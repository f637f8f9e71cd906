"""Fixed point: what fits, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.mpc.fixedpoint import MAX_MAGNITUDE, OutOfRange, decode, encode

values = st.floats(-MAX_MAGNITUDE, MAX_MAGNITUDE)


@given(values)
def test_a_value_comes_back_within_half_a_unit(value: float) -> None:
    assert abs(decode(encode([value], "x"))[0] - value) <= 2**-21


@pytest.mark.parametrize(
    ("bad", "problem"),
    [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite"), (MAX_MAGNITUDE * 1.01, "too large")],
)
def test_a_value_that_does_not_fit_is_refused_with_its_place_and_without_its_value(bad: float, problem: str) -> None:
    array = np.zeros((2, 3))
    array[1, 2] = bad
    with pytest.raises(OutOfRange) as caught:
        encode(array, "weight 'logit/kernel'")
    assert str(caught.value) == f"weight 'logit/kernel'[1, 2] is {problem}; at most ±1024 can be carried"
