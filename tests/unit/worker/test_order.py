"""Orders of worker 0, and how the others check them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.worker import frame, order, plan
from triveni.worker.order import Command, InvalidOrder, Order, Prepared, Progress

MAX_ROWS = 8

ORDERS = st.builds(
    Order,
    st.sampled_from(Command),
    st.integers(0, 2**64),
    st.integers(0, 256),
    st.lists(st.text(max_size=8), max_size=4).map(tuple),
    st.text(max_size=20),
)


@given(ORDERS)
def test_an_order_comes_back_from_its_frame(given_order: Order) -> None:
    (document,) = frame.Reader().feed(order.encode(given_order))
    assert order.decode(document) == given_order


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [],
        ["run", 1, 1, ["a"]],
        ["run", 1, 1, ["a"], "", 0],
        ["stop", 1, 1, [], ""],
        ["run", True, 1, ["a"], ""],
        ["run", 1, "1", ["a"], ""],
        ["run", -1, 1, ["a"], ""],
        ["run", 1, 1, [1], ""],
        ["run", 1, 1, "a", ""],
        [["run"], 1, 1, [], ""],
    ],
)
def test_what_is_no_order_is_refused(document: Any) -> None:
    with pytest.raises(InvalidOrder):
        order.decode(document)


@pytest.mark.parametrize(
    ("progress", "bad"),
    [
        (Progress(3), Order(Command.RUN, 3, 1, ("a",))),
        (Progress(3), Order(Command.RUN, 2, 1, ("a",))),
        (Progress(3), Order(Command.PREPARE, 3, 1)),
        (Progress(), Order(Command.RUN, 0, 1, ("a",))),
        (Progress(), Order(Command.RUN, 1, 0, ("a",))),
        (Progress(), Order(Command.RUN, 1, MAX_ROWS + 1, ("a",))),
        (Progress(), Order(Command.RUN, 1, 1)),
        (Progress(), Order(Command.RUN, 1, 1, ("a", "b"))),
        (Progress(), Order(Command.RUN, 1, 2, ("a", "a"))),
        (Progress(), Order(Command.PREPARE, 1, 1, ("a",))),
        (Progress(3, Prepared(3, 1)), Order(Command.RUN, 3, 2, ("a",))),
        (Progress(3, Prepared(3, 1)), Order(Command.PREPARE, 3, 1)),
    ],
)
def test_an_order_that_does_not_follow_is_refused(progress: Progress, bad: Order) -> None:
    with pytest.raises(InvalidOrder):
        progress.after(bad, MAX_ROWS)


@given(st.lists(st.one_of(st.just(0), st.integers(1, MAX_ROWS)), max_size=30))
def test_what_is_planned_always_follows_and_no_run_is_executed_twice(steps: list[int]) -> None:
    progress, executed = Progress(), []
    for number, rows in enumerate(steps):
        given_order = plan.run(progress, (f"c/{number}",), rows) if rows else plan.prepare(progress)
        if given_order.command is Command.PREPARE and progress.prepared is not None:
            assert plan.prepare_after(progress, 1, any_quota=True) is None
            continue
        progress = progress.after(given_order, MAX_ROWS)
        if given_order.command is Command.RUN:
            executed.append(given_order.run)
    assert executed == sorted(set(executed))


def test_a_prepared_run_is_used_by_a_request_of_as_many_rows_and_burnt_by_any_other() -> None:
    progress = Progress().after(plan.prepare(Progress()), MAX_ROWS)
    assert plan.run(progress, ("c/a",), plan.ROWS_AHEAD).run == progress.last_run
    assert plan.run(progress, ("c/a",), plan.ROWS_AHEAD + 1).run == progress.last_run + 1


def test_the_next_run_is_prepared_at_once_for_single_rows_and_after_quiet_under_load() -> None:
    assert plan.prepare_after(Progress(1), 0, any_quota=True) == 0
    assert plan.prepare_after(Progress(1), 1, any_quota=True) == 0
    assert plan.prepare_after(Progress(1), 5, any_quota=True) == plan.SETTLE_S
    assert plan.prepare_after(Progress(1), 1, any_quota=False) is None
