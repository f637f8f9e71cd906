"""A worker's own count."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triveni.worker.quota import Count, OrderBeyondGrant

GRANTS = st.one_of(st.none(), st.integers(1, 50))
STEPS = st.lists(st.tuples(st.sampled_from(["admit", "answer"]), st.integers(1, 10)), max_size=60)


@given(GRANTS, STEPS)
@example(3, [("admit", 2), ("admit", 2)])
@example(3, [("admit", 3), ("answer", 2), ("answer", 2)])
def test_whatever_is_tried_no_more_is_answered_than_admitted_and_no_more_admitted_than_granted(
    grant: int | None, steps: list[tuple[str, int]]
) -> None:
    count = Count(grant)
    for step, rows in steps:
        before = count
        try:
            count = count.admit(rows) if step == "admit" else count.answer(rows)
        except (OrderBeyondGrant, ValueError):
            assert count is before
        assert 0 <= count.answered <= count.admitted
        assert grant is None or count.admitted <= grant


@given(GRANTS, STEPS, st.integers(1, 60))
def test_what_it_says_can_be_admitted_is_exactly_what_it_admits(
    grant: int | None, steps: list[tuple[str, int]], rows: int
) -> None:
    count = Count(grant)
    for step, number in steps:
        if step == "admit" and count.can_admit(number):
            count = count.admit(number)
    if count.can_admit(rows):
        assert count.admit(rows).admitted == count.admitted + rows
    else:
        with pytest.raises(OrderBeyondGrant) as caught:
            count.admit(rows)
        assert caught.value.remaining == (grant or 0) - count.admitted


def test_the_quota_is_reached_only_when_all_is_answered() -> None:
    count = Count(3).admit(3)
    assert not count.reached
    assert not count.can_admit(1)
    assert count.can_ever_answer(3), "the admitted rows come back if their run fails"
    count = count.answer(3)
    assert count.reached
    assert not count.can_ever_answer(1)


def test_without_a_grant_there_is_no_end() -> None:
    count = Count(None).admit(10**12).answer(10**12)
    assert not count.reached
    assert count.can_admit(10**12)


@pytest.mark.parametrize("rows", [0, -1])
def test_no_rows_are_no_run(rows: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        Count(3).admit(rows)
    with pytest.raises(ValueError, match="cannot be"):
        Count(3).admit(2).answer(rows)
