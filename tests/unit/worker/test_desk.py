"""Three desks that talk over control channels, in whatever order the messages are delivered. No engine."""

import asyncio
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.api.inference import Reason
from triveni.worker.admission import MAX_REQUESTS, Answer
from triveni.worker.desk import LEADER, MAX_KEY, Desk, Work
from triveni.worker.frame import InvalidFrame
from triveni.worker.order import InvalidOrder
from triveni.worker.quota import OrderBeyondGrant
from triveni.worker.refusal import Refused


class Desks:
    """The desks of three workers. Messages wait in `channels` until `deliver`."""

    def __init__(self, grants: tuple[int | None, int | None, int | None] = (None, None, None), timeout_s: float = 30):
        self.desks = [Desk(party, grants[party], timeout_s, 64, 32) for party in range(3)]
        self.channels: dict[tuple[int, int], deque[Any]] = {(a, b): deque() for a in range(3) for b in range(3)}
        self.woken = 0
        for party, desk in enumerate(self.desks):
            desk.send_control = lambda to, message, party=party: self.channels[party, to].append(message)
        self.desks[LEADER].wake = self._wake
        self.tasks: list[asyncio.Task[Answer]] = []

    def _wake(self) -> None:
        self.woken += 1

    def deliver(self) -> None:
        """Deliver everything, and what comes of it."""
        while any(self.channels.values()):
            for (sender, receiver), messages in self.channels.items():
                while messages:
                    self.desks[receiver].on_control(sender, messages.popleft())

    async def load(self) -> None:
        for party, desk in enumerate(self.desks):
            desk.set_loaded(party)
        self.deliver()

    async def ask(self, party: int, key: str, rows: int = 1, body: bytes = b"", value: int = 1) -> asyncio.Task[Answer]:
        shares = (np.full((rows, 4), value), np.full((rows, 4), value))
        task = asyncio.create_task(self.desks[party].answer(key, rows, body, shares))
        self.tasks.append(task)
        await settle()
        return task

    async def ask_all(self, key: str, rows: int = 1, value: int = 1) -> list[asyncio.Task[Answer]]:
        return [await self.ask(party, key, rows, value=value) for party in range(3)]

    async def run(self, max_rows: int = 32) -> Work | None:
        """What the three engines do for one order: each answer is its input, one larger."""
        work = self.desks[LEADER].take_batch(max_rows)
        if work is None:
            return None
        works = [work, *(self.desks[party].take_ordered(work.keys, work.rows) for party in (1, 2))]
        for desk, mine in zip(self.desks, works, strict=True):
            first, second = mine.inputs()
            desk.release(mine, (first + 1, second + 1))
        await settle()
        return work


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def refusal(task: asyncio.Task[Answer]) -> Refused:
    with pytest.raises(Refused) as caught:
        await asyncio.wait_for(task, 5)
    return caught.value


async def answered(task: asyncio.Task[Answer]) -> int:
    answer = await asyncio.wait_for(task, 5)
    return int(answer.components[0][0, 0])


async def test_a_request_is_answered_once_all_three_have_their_shares() -> None:
    desks = Desks()
    await desks.load()
    first, second = await desks.ask(1, "c/a"), await desks.ask(2, "c/a")
    desks.deliver()
    assert desks.desks[0].take_batch(32) is None
    third = await desks.ask(0, "c/a")
    assert await desks.run() is not None
    assert [await answered(task) for task in (first, second, third)] == [2, 2, 2]
    assert [desk.count.answered for desk in desks.desks] == [1, 1, 1]
    assert [desk.waiting for desk in desks.desks] == [0, 0, 0]


async def test_requests_that_run_together_each_get_their_own_rows() -> None:
    desks = Desks()
    await desks.load()
    tasks = {value: await desks.ask_all(f"c/{value}", rows=value % 3 + 1, value=value) for value in (10, 20, 30)}
    desks.deliver()
    work = await desks.run()
    assert work is not None
    assert work.rows == 2 + 3 + 1
    for value, three in tasks.items():
        for task in three:
            answer = await task
            assert answer.components[0].shape == (value % 3 + 1, 4)
            assert (answer.components[0] == value + 1).all()
            assert (answer.components[1] == value + 1).all()


async def test_the_engine_is_woken_when_a_request_is_complete_and_not_before() -> None:
    desks = Desks()
    await desks.load()
    before = desks.woken
    await desks.ask(0, "c/a")
    await desks.ask(1, "c/a")
    desks.deliver()
    assert desks.woken == before
    await desks.ask(2, "c/a")
    desks.deliver()
    assert desks.woken == before + 1


async def test_nothing_runs_before_all_three_hold_their_weights() -> None:
    desks = Desks()
    desks.desks[0].set_loaded(0)
    desks.desks[1].set_loaded(1)
    desks.deliver()
    await desks.ask_all("c/a")
    desks.deliver()
    assert not desks.desks[0].has_work
    desks.desks[2].set_loaded(2)
    desks.deliver()
    assert desks.desks[0].has_work


async def test_a_retry_joins_the_request_that_waits_and_gets_the_answer_that_was_given() -> None:
    desks = Desks()
    await desks.load()
    tasks = await desks.ask_all("c/a")
    again = await desks.ask(1, "c/a")
    desks.deliver()
    await desks.run()
    assert await answered(again) == await answered(tasks[1]) == 2
    late = await desks.ask(1, "c/a")
    assert (await late).components is (await again).components
    assert desks.desks[1].count.answered == 1
    assert desks.desks[0].take_batch(32) is None


async def test_another_body_under_the_same_id_is_refused() -> None:
    desks = Desks()
    await desks.ask(1, "c/a")
    assert (await refusal(await desks.ask(1, "c/a", body=b"other"))).reason is Reason.REQUEST_ID_REUSED


async def test_shares_whose_siblings_never_come_expire_at_their_holders() -> None:
    desks = Desks(timeout_s=0)
    tasks = [await desks.ask(party, "c/a") for party in (0, 2)]
    desks.deliver()
    desks.desks[0].expire()
    desks.deliver()
    assert [(await refusal(task)).reason for task in tasks] == [Reason.EXPIRED] * 2
    assert [desk.waiting for desk in desks.desks] == [0, 0, 0]


async def test_different_numbers_of_rows_are_refused_everywhere() -> None:
    desks = Desks()
    tasks = [await desks.ask(0, "c/a", rows=1), await desks.ask(1, "c/a", rows=2)]
    desks.deliver()
    assert [(await refusal(task)).reason for task in tasks] == [Reason.WRONG_SHAPE] * 2


@pytest.mark.parametrize("party", [0, 1])
async def test_a_client_that_goes_takes_its_shares_with_it(party: int) -> None:
    desks = Desks()
    await desks.load()
    tasks = await desks.ask_all("c/a")
    desks.deliver()
    tasks[party].cancel()
    await settle()
    desks.deliver()
    assert desks.desks[party].waiting == 0
    assert desks.desks[0].take_batch(32) is None
    await desks.ask(party, "c/a")
    desks.deliver()
    assert await desks.run() is not None


async def test_a_client_that_comes_back_while_its_request_is_leaving_is_answered() -> None:
    desks = Desks()
    await desks.load()
    tasks = await desks.ask_all("c/a")
    desks.deliver()
    tasks[1].cancel()
    await settle()
    again = await desks.ask(1, "c/a")
    desks.deliver()
    await desks.run()
    assert await answered(again) == 2


async def test_a_request_that_was_ordered_runs_and_counts_though_its_client_has_gone() -> None:
    desks = Desks()
    await desks.load()
    tasks = await desks.ask_all("c/a")
    desks.deliver()
    work = desks.desks[0].take_batch(32)
    assert work is not None
    tasks[1].cancel()
    await settle()
    desks.deliver()
    works = [work, *(desks.desks[party].take_ordered(work.keys, work.rows) for party in (1, 2))]
    for desk, mine in zip(desks.desks, works, strict=True):
        desk.release(mine, mine.inputs())
    await settle()
    assert [desk.count.answered for desk in desks.desks] == [1, 1, 1]
    assert await answered(await desks.ask(1, "c/a")) == 1


async def test_what_waits_at_the_quota_is_refused_at_all_three() -> None:
    desks = Desks((2, 2, 2))
    await desks.load()
    served = await desks.ask_all("c/a", rows=2)
    waiting = await desks.ask_all("c/b")
    desks.deliver()
    await desks.run()
    desks.deliver()
    assert [await answered(task) for task in served] == [2, 2, 2]
    assert [(await refusal(task)).reason for task in waiting] == [Reason.QUOTA_REACHED] * 3
    late = [await desks.ask(party, "c/c") for party in range(3)]
    assert [(await refusal(task)).reason for task in late] == [Reason.QUOTA_REACHED] * 3


async def test_a_request_of_more_rows_than_remain_is_refused_and_a_smaller_one_answered() -> None:
    desks = Desks((3, 3, 3))
    await desks.load()
    await desks.ask_all("c/a", rows=2)
    desks.deliver()
    await desks.run()
    large = [await desks.ask(party, "c/large", rows=2) for party in range(3)]
    small = await desks.ask_all("c/small", rows=1)
    desks.deliver()
    await desks.run()
    assert [(await refusal(task)).reason for task in large] == [Reason.QUOTA_REACHED] * 3
    assert [await answered(task) for task in small] == [2, 2, 2]


async def test_a_worker_refuses_an_order_beyond_its_own_grant_whatever_worker_0_says() -> None:
    desks = Desks((5, 1, 5))
    await desks.load()
    await desks.ask_all("c/a")
    await desks.ask_all("c/b")
    desks.deliver()
    work = desks.desks[0].take_batch(32)
    assert work is not None
    with pytest.raises(OrderBeyondGrant):
        desks.desks[1].take_ordered(work.keys, work.rows)
    assert desks.desks[1].count.admitted == 0


async def test_a_refused_order_is_not_admitted() -> None:
    desks = Desks((5, 5, 5))
    with pytest.raises(InvalidOrder):
        desks.desks[1].take_ordered(("c/never seen",), 1)
    assert desks.desks[1].count.admitted == 0


async def test_a_closed_desk_refuses_all_but_answers_that_it_has() -> None:
    desks = Desks()
    await desks.load()
    await desks.ask_all("c/a")
    desks.deliver()
    await desks.run()
    waiting = await desks.ask(1, "c/b")
    desks.desks[1].close(Refused(Reason.EPOCH_ENDED, "ended"))
    assert (await refusal(waiting)).reason is Reason.EPOCH_ENDED
    assert (await refusal(await desks.ask(1, "c/c"))).reason is Reason.EPOCH_ENDED
    assert await answered(await desks.ask(1, "c/a")) == 2
    desks.desks[1].erase()
    assert (await refusal(await desks.ask(1, "c/a"))).reason is Reason.EPOCH_ENDED


async def test_too_many_requests_are_told_to_come_back() -> None:
    desk = Desks().desks[1]
    shares = (np.zeros((1, 1), np.int64), np.zeros((1, 1), np.int64))
    tasks = [asyncio.create_task(desk.answer(f"c/{n}", 1, b"", shares)) for n in range(MAX_REQUESTS + 1)]
    assert (await refusal(tasks[-1])).reason is Reason.BUSY
    with pytest.raises(Refused), desk.expecting(1):
        raise AssertionError("there was room")
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize(
    ("party", "message"),
    [
        (0, ["refused", "c/a", "Expired", "x"]),
        (0, ["withdrawn", "c/a"]),
        (0, ["arrived", "c/a", 0]),
        (0, ["arrived", "c/" + "a" * MAX_KEY, 1]),
        (0, ["arrived", "c/a", True]),
        (0, ["arrived", "c/a"]),
        (1, ["arrived", "c/a", 1]),
        (1, ["loaded"]),
        (1, ["refused", "c/a", "Mystery", "x"]),
        (1, {}),
        (1, "refused"),
    ],
)
async def test_a_message_that_a_worker_cannot_get_is_refused(party: int, message: Any) -> None:
    with pytest.raises(InvalidFrame):
        Desks().desks[party].on_control(2 if party == 0 else 0, message)


async def test_a_worker_that_announces_twice_is_refused() -> None:
    desk = Desks().desks[0]
    desk.on_control(1, ["arrived", "c/a", 1])
    with pytest.raises(InvalidFrame, match="twice"):
        desk.on_control(1, ["arrived", "c/a", 1])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "leave", "deliver", "run", "expire"]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(STEPS)
def test_however_requests_come_and_go_and_messages_cross_no_order_is_refused_and_all_are_answered_or_told(
    steps: list[tuple[str, int, int]],
) -> None:
    asyncio.run(_come_and_go(steps))


async def _come_and_go(steps: list[tuple[str, int, int]]) -> None:
    desks = Desks((6, 6, 6))
    await desks.load()
    for action, party, number in steps:
        if action == "ask":
            await desks.ask(party, f"c/{number}", rows=number % 2 + 1, value=number)
        elif action == "leave" and desks.tasks:
            desks.tasks[number % len(desks.tasks)].cancel()
            await settle()
        elif action == "deliver":
            sender, receiver = [(1, 0), (2, 0), (0, 1), (0, 2)][number]
            if desks.channels[sender, receiver]:
                desks.desks[receiver].on_control(sender, desks.channels[sender, receiver].popleft())
        elif action == "run":
            await desks.run(3)
        elif action == "expire":
            desks.desks[0]._pairing._timeout_s = 0  # type: ignore[union-attr]
            desks.desks[0].expire()
            desks.desks[0]._pairing._timeout_s = 30  # type: ignore[union-attr]
    desks.deliver()
    while await desks.run(3) is not None:
        desks.deliver()
    counts = {desk.count for desk in desks.desks}
    assert len(counts) == 1
    desks.desks[0]._pairing._timeout_s = 0  # type: ignore[union-attr]
    desks.desks[0].expire()
    desks.deliver()
    ends = await asyncio.gather(*desks.tasks, return_exceptions=True)
    assert all(isinstance(end, Answer | Refused | asyncio.CancelledError) for end in ends)
    assert [desk.waiting for desk in desks.desks] == [0, 0, 0]
    assert len(desks.desks[0]._pairing) == 0  # type: ignore[arg-type]
