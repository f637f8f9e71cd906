"""Worker 0's table of whose shares have arrived."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.worker.pairing import Dropped, InvalidArrival, Pairing
from triveni.worker.quota import Count

NO_LIMIT = Count(None)


def pairing(*complete: tuple[str, int], timeout_s: float = 30, limit: int = 100) -> Pairing:
    table = Pairing(timeout_s, limit)
    for key, rows in complete:
        for party in range(3):
            assert table.arrive(party, key, rows, 0.0) is None
    return table


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_a_request_runs_only_when_all_three_workers_hold_its_shares(order: tuple[int, ...]) -> None:
    table = Pairing(30, 100)
    for step, party in enumerate(order):
        assert table.take(32, NO_LIMIT) is None
        assert not table.has_work(NO_LIMIT)
        table.arrive(party, "c/a", 2, float(step))
    assert table.has_work(NO_LIMIT)
    batch = table.take(32, NO_LIMIT)
    assert batch is not None
    assert (batch.keys, batch.rows, batch.complete_at) == (("c/a",), 2, 2.0)
    assert len(table) == 0


def test_requests_run_in_the_order_in_which_they_were_complete_as_many_as_fit() -> None:
    table = pairing(("c/a", 2), ("c/b", 3), ("c/c", 4), ("c/d", 1))
    first, second = table.take(6, NO_LIMIT), table.take(6, NO_LIMIT)
    assert first is not None
    assert second is not None
    assert (first.keys, first.rows) == (("c/a", "c/b"), 5)
    assert (second.keys, second.rows) == (("c/c", "c/d"), 5)


def test_the_same_id_of_two_clients_is_two_requests() -> None:
    table = Pairing(30, 100)
    table.arrive(0, "alice/1", 1, 0)
    table.arrive(1, "bob/1", 1, 0)
    table.arrive(2, "alice/1", 1, 0)
    assert table.take(32, NO_LIMIT) is None


def test_a_request_that_the_quota_does_not_allow_waits_and_lets_smaller_ones_pass() -> None:
    table = pairing(("c/a", 3), ("c/b", 1))
    count = Count(2)
    batch = table.take(32, count)
    assert batch is not None
    assert batch.keys == ("c/b",)
    assert table.drop_beyond(count) == [Dropped("c/a", 3, frozenset({0, 1, 2}))]


def test_what_can_still_be_answered_if_a_run_fails_is_not_dropped() -> None:
    table = pairing(("c/a", 2))
    count = Count(2).admit(2)
    assert not table.has_work(count)
    assert table.drop_beyond(count) == []
    assert len(table.drop_beyond(count.answer(2))) == 1


def test_different_numbers_of_rows_are_dropped_and_all_holders_are_to_be_told() -> None:
    table = Pairing(30, 100)
    assert table.arrive(1, "c/a", 1, 0) is None
    assert table.arrive(2, "c/a", 2, 0) == Dropped("c/a", 1, frozenset({1, 2}))
    assert len(table) == 0


def test_a_request_whose_shares_do_not_come_expires_at_its_holders() -> None:
    table = pairing(("c/complete", 1), timeout_s=10)
    table.arrive(1, "c/a", 1, 5.0)
    assert table.expire(14.9) == []
    assert table.expire(15.0) == [Dropped("c/a", 1, frozenset({1}))]
    assert table.take(32, NO_LIMIT) is not None, "what is complete does not expire"


def test_a_withdrawn_request_does_not_run_until_it_is_there_again() -> None:
    table = pairing(("c/a", 1))
    assert table.withdraw(2, "c/a")
    assert table.take(32, NO_LIMIT) is None
    table.arrive(2, "c/a", 1, 1.0)
    assert table.take(32, NO_LIMIT) is not None


def test_what_has_been_ordered_or_dropped_cannot_be_withdrawn() -> None:
    table = pairing(("c/a", 1))
    table.take(32, NO_LIMIT)
    assert not table.withdraw(2, "c/a")
    assert not table.withdraw(1, "c/unknown")


def test_a_worker_cannot_announce_twice_or_more_than_it_may_hold() -> None:
    table = pairing(("c/a", 1), limit=2)
    with pytest.raises(InvalidArrival, match="twice"):
        table.arrive(1, "c/a", 1, 0)
    table.arrive(1, "c/b", 1, 0)
    with pytest.raises(InvalidArrival, match="twice"):
        table.arrive(1, "c/b", 1, 0)
    with pytest.raises(InvalidArrival, match="more than 2"):
        table.arrive(1, "c/c", 1, 0)
    table.take(32, NO_LIMIT)
    table.arrive(1, "c/c", 1, 0)
    table.withdraw(1, "c/b")
    table.arrive(1, "c/d", 1, 0)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["arrive", "withdraw", "take", "expire", "drop"]), st.integers(0, 2), st.integers(0, 3)),
    max_size=80,
)


@given(ACTIONS)
def test_the_table_is_exactly_what_each_worker_holds_whatever_happens(actions: list[tuple[str, int, int]]) -> None:
    table, holds, now = Pairing(5, 3), [set(), set(), set()], 0.0
    count = Count(20)

    def let_go(keys: list[Dropped]) -> None:
        for dropped in keys:
            for party in dropped.holders:
                holds[party].remove(dropped.key)

    for action, party, number in actions:
        key, now = f"c/{number}", now + 1
        if action == "arrive":
            try:
                dropped = table.arrive(party, key, number + 1, now)
            except InvalidArrival:
                assert key in holds[party] or len(holds[party]) == 3
                continue
            holds[party].add(key)
            assert dropped is None
        elif action == "withdraw":
            assert table.withdraw(party, key) == (key in holds[party])
            holds[party].discard(key)
        elif action == "take":
            batch = table.take(4, count)
            for taken in batch.keys if batch else ():
                assert all(taken in held for held in holds)
                for held in holds:
                    held.remove(taken)
        elif action == "expire":
            let_go(table.expire(now))
        else:
            let_go(table.drop_beyond(Count(2)))
        assert len(table) == len(holds[0] | holds[1] | holds[2])
    let_go(table.drop_all())
    assert holds == [set(), set(), set()]
    assert len(table) == 0
