"""Fixed point: what fits, and what is refused, in each protocol."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.mpc.fixedpoint import FIXED_POINT, FixedPoint, OutOfRange, fixed_point


@given(st.sampled_from(list(FIXED_POINT.values())), st.floats(-1, 1))
def test_a_value_comes_back_within_half_a_unit(numbers: FixedPoint, part: float) -> None:
    value = part * numbers.max_magnitude
    assert abs(numbers.decode(numbers.encode([value], "x"))[0] - value) <= 0.5 / numbers.scale


def test_the_bits_and_bounds_of_the_protocols() -> None:
    assert {name: (n.fractional_bits, n.max_magnitude) for name, n in FIXED_POINT.items()} == {
        "ABY3": (20, 1024.0),
        "SecureNN": (16, 128.0),
    }


@pytest.mark.parametrize(
    ("bad", "problem"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite"), (1024 * 1.01, "too large")]
)
@pytest.mark.parametrize(("protocol", "most"), [("ABY3", "1024"), ("SecureNN", "128")])
def test_a_value_that_does_not_fit_is_refused_with_its_place_and_without_its_value(
    bad: float, problem: str, protocol: str, most: str
) -> None:
    array = np.zeros((2, 3))
    array[1, 2] = bad
    with pytest.raises(OutOfRange) as caught:
        fixed_point(protocol).encode(array, "weight 'logit/kernel'")
    assert str(caught.value) == f"weight 'logit/kernel'[1, 2] is {problem}; at most ±{most} can be carried"
