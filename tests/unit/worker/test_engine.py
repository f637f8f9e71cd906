"""Three engines over real links, with a machine that only pretends: its answer is its input, one larger."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.unit.worker.threads import in_thread
from triveni.mpc.execute.machine import Links, Statistics
from triveni.worker import order
from triveni.worker.admission import Words
from triveni.worker.desk import LEADER, Desk
from triveni.worker.engine import Engine
from triveni.worker.links import DataLinks, LinkLost
from triveni.worker.order import Command, Order
from triveni.worker.refusal import Refused
from triveni.worker.state import Ending, EndReason

STOP = Ending(EndReason.TERMINATED, "asked to")


@dataclass
class FakeMachine:
    """Exchanges one frame with each peer in each part of a run, and checks that all three are at the same."""

    party: int
    calls: list[tuple[str, int, int]] = field(default_factory=list)
    before_exchange: Callable[[str], None] = lambda _part: None
    before_return: Callable[[str], None] = lambda _part: None
    statistics: Statistics = field(default_factory=Statistics)

    def ahead(self, run: int, rows: int, links: Links) -> None:
        self._exchange("ahead", run, rows, links)

    def online(self, run: int, rows: int, x: tuple[Words, Words], links: Links) -> tuple[Words, Words]:
        assert self.calls[-1] == ("ahead", run, rows)
        self._exchange("online", run, rows, links)
        self.before_return("online")
        return x[0] + 1, x[1] + 1

    def _exchange(self, part: str, run: int, rows: int, links: Links) -> None:
        self.calls.append((part, run, rows))
        self.before_exchange(part)
        mine = np.array([run, rows, part == "online"])
        for peer in {0, 1, 2} - {self.party}:
            links.send(peer, memoryview(mine).cast("B"))
        for peer in {0, 1, 2} - {self.party}:
            theirs = np.empty(3, np.int64)
            links.receive_into(peer, memoryview(theirs).cast("B"))
            assert (theirs == mine).all()


class Workers:
    """Desks and engines of three workers in one process."""

    def __init__(self, links: list[DataLinks], grants: tuple[int | None, ...] = (None, None, None)) -> None:
        self.links = links
        self.loop = asyncio.get_running_loop()
        self.machines = [FakeMachine(party) for party in range(3)]
        self.desks = [Desk(party, grants[party], 30, 64, 32) for party in range(3)]
        self.engines = [Engine(p, self.machines[p], links[p], self.desks[p], 32) for p in range(3)]
        for party, desk in enumerate(self.desks):
            desk.wake = self.engines[party].wake
            desk.send_control = lambda to, message, party=party: self.loop.call_soon(
                self.desks[to].on_control, party, message
            )
        self.ends: list[Future] = []

    def start(self, *parties: int) -> None:
        for party in parties or (0, 1, 2):
            self.ends.append(in_thread(self.engines[party].serve))
            self.desks[party].set_loaded(party)

    async def ask(self, key: str, value: int, rows: int = 1) -> list[Any]:
        shares = [(np.full((rows, 4), value), np.full((rows, 4), value)) for _ in range(3)]
        asking = (desk.answer(key, rows, b"", mine) for desk, mine in zip(self.desks, shares, strict=True))
        return await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 10)

    async def erased(self, *asking: asyncio.Task[list[Any]]) -> list[Any]:
        """What became of requests once all three have forgotten everything."""
        for desk in self.desks:
            desk.erase()
        return [end for ends in await asyncio.gather(*asking) for end in ends]

    async def ending(self, position: int) -> Ending:
        return await asyncio.wait_for(asyncio.wrap_future(self.ends[position]), 10)

    async def called(self, party: int, call: tuple[str, int, int]) -> None:
        """Wait until a machine was asked for this."""
        for _ in range(1000):
            if call in self.machines[party].calls:
                return
            await asyncio.sleep(0.005)
        pytest.fail(f"worker {party} was not asked for {call}")


MakeWorkers = Callable[..., Workers]


@pytest.fixture
async def workers(three_links: list[DataLinks]) -> AsyncIterator[MakeWorkers]:
    made = []

    def make(*grants: int | None) -> Workers:
        made.append(Workers(three_links, grants or (None, None, None)))
        return made[-1]

    yield make
    for link in three_links:
        link.cut()
    for one in made:
        for engine in one.engines:
            engine.stop(STOP)
        async with asyncio.timeout(10):
            await asyncio.gather(*map(asyncio.wrap_future, one.ends), return_exceptions=True)


def values(answers: list[Any]) -> list[int]:
    return [int(answer.components[0][0, 0]) for answer in answers]


async def test_many_requests_at_once_each_get_their_own_answer(workers: MakeWorkers) -> None:
    three = workers()
    three.start()
    answers = await asyncio.gather(*(three.ask(f"c/{n}", n, rows=n % 3 + 1) for n in range(60)))
    for number, own in enumerate(answers):
        assert values(own) == [number + 1] * 3
        assert all(len(answer.components[0]) == number % 3 + 1 for answer in own)
    assert len({desk.count for desk in three.desks}) == 1
    assert three.desks[0].count.answered == sum(n % 3 + 1 for n in range(60))
    runs = [run for part, run, _ in three.machines[0].calls if part == "online"]
    assert runs == sorted(set(runs))
    assert len(runs) < 60, "requests that wait run together"
    assert three.machines[0].calls == three.machines[1].calls == three.machines[2].calls


async def test_a_single_request_finds_the_work_ahead_done(workers: MakeWorkers) -> None:
    three = workers()
    three.start()
    for number in range(3):
        for party in range(3):
            await three.called(party, ("ahead", number + 1, 1))
        await three.ask(f"c/{number}", number)
    assert three.machines[1].calls[:6] == [(part, run, 1) for run in (1, 2, 3) for part in ("ahead", "online")]


async def test_an_engine_runs_while_it_carries_out_an_order_and_not_while_it_waits(workers: MakeWorkers) -> None:
    three = workers()
    seen: list[bool] = []
    three.machines[1].before_exchange = lambda _part: seen.append(three.engines[1].running)
    three.start()
    await three.ask("c/a", 1, rows=2)
    assert seen
    assert all(seen)
    async with asyncio.timeout(10):
        while any(engine.running for engine in three.engines):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_run_of_another_size_burns_the_prepared_number(workers: MakeWorkers) -> None:
    three = workers()
    three.start()
    await three.called(0, ("ahead", 1, 1))
    await three.ask("c/a", 5, rows=2)
    assert three.machines[2].calls[:3] == [("ahead", 1, 1), ("ahead", 2, 2), ("online", 2, 2)]


async def test_nothing_is_ordered_before_all_hold_their_weights(workers: MakeWorkers) -> None:
    three = workers()
    three.start(0, 1)
    asking = asyncio.create_task(three.ask("c/a", 1))
    await asyncio.wait([asking], timeout=0.1)
    assert three.machines[0].calls == []
    three.start(2)
    assert values(await asking) == [2, 2, 2]


async def test_the_quota_ends_all_three_after_exactly_its_rows(workers: MakeWorkers) -> None:
    three = workers(5, 5, 5)
    three.start()
    answers = await asyncio.gather(*(three.ask(f"c/{n}", n) for n in range(5)))
    assert [values(own) for own in answers] == [[n + 1] * 3 for n in range(5)]
    for position in range(3):
        assert (await three.ending(position)).reason is EndReason.QUOTA_REACHED
    assert [(desk.count.admitted, desk.count.answered) for desk in three.desks] == [(5, 5)] * 3


async def test_more_requests_than_the_quota_are_told_so(workers: MakeWorkers) -> None:
    three = workers(3, 3, 3)
    three.start()
    asking = [asyncio.create_task(three.ask(f"c/{n}", n)) for n in range(8)]
    for position in range(3):
        await three.ending(position)
    for desk in three.desks:
        desk.close(Refused(order.Command.END, "request quota reached"))  # type: ignore[arg-type]
    answers = await asyncio.gather(*asking)
    served = [own for own in answers if not isinstance(own[0], Refused)]
    assert len(served) == 3
    assert sum(all(isinstance(end, Refused) for end in own) for own in answers) == 5


@pytest.mark.parametrize("smaller", [1, 2])
async def test_a_worker_with_a_smaller_grant_ends_the_epoch_rather_than_pass_it(
    workers: MakeWorkers, smaller: int
) -> None:
    grants = [5, 5, 5]
    grants[smaller] = 1
    three = workers(*grants)
    together = [asyncio.create_task(three.ask(key, 1)) for key in ("c/a", "c/b")]
    await asyncio.wait(together, timeout=0.1)
    three.start()
    assert (await three.ending(smaller)).reason is EndReason.ORDER_BEYOND_GRANT
    assert three.desks[smaller].count.admitted == 0
    three.links[smaller].cut()
    assert (await three.ending(0)).reason is EndReason.PEER_LOST
    assert all(isinstance(end, Refused) for end in await three.erased(*together))


async def test_the_current_run_is_completed_before_a_worker_ends(workers: MakeWorkers) -> None:
    three = workers()
    reached, go_on = threading.Event(), threading.Event()
    three.machines[0].before_exchange = lambda part: (reached.set(), go_on.wait(5)) if part == "online" else None
    three.start()
    asking = asyncio.create_task(three.ask("c/a", 1))
    await asyncio.to_thread(reached.wait, 5)
    for engine in three.engines:
        engine.stop(STOP)
    go_on.set()
    assert values(await asking) == [2, 2, 2]
    assert [await three.ending(position) for position in range(3)] == [STOP] * 3


async def test_when_worker_0_ends_the_others_do(workers: MakeWorkers) -> None:
    three = workers()
    three.start()
    await three.ask("c/a", 1)
    three.engines[0].stop(STOP)
    assert await three.ending(0) == STOP
    for position in (1, 2):
        ending = await three.ending(position)
        assert ending.reason is EndReason.PEER_LOST
        assert "worker 0 ended: Terminated" in ending.message


@pytest.mark.parametrize("dead", [0, 1, 2])
async def test_a_worker_that_dies_while_all_are_idle_is_noticed(workers: MakeWorkers, dead: int) -> None:
    three = workers()
    three.start()
    await three.ask("c/a", 1)
    three.links[dead].cut()
    for position in {0, 1, 2} - {dead}:
        assert (await three.ending(position)).reason is EndReason.PEER_LOST
    assert [three.desks[party].count.answered for party in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("dead", [0, 1, 2])
async def test_a_worker_that_dies_within_a_run_ends_it_unanswered(workers: MakeWorkers, dead: int) -> None:
    three = workers()
    # The part ahead may have been done before the order came: nothing else makes sure that all have taken it.
    all_took_it = threading.Barrier(3)

    def before(party: int, part: str) -> None:
        if part == "online":
            all_took_it.wait(5)
            if party == dead:
                three.links[dead].cut()
                raise LinkLost(dead, "it is dead")

    for party, machine in enumerate(three.machines):
        machine.before_exchange = partial(before, party)
    three.start()
    asking = asyncio.create_task(three.ask("c/a", 1))
    for position in range(3):
        assert (await three.ending(position)).reason is EndReason.PEER_LOST
    assert [(desk.count.admitted, desk.count.answered) for desk in three.desks] == [(1, 0)] * 3
    assert all(isinstance(end, Refused) for end in await three.erased(asking))


async def test_a_run_whose_data_has_all_arrived_is_completed_though_a_peer_has_died(workers: MakeWorkers) -> None:
    three = workers()

    def die(part: str) -> None:
        three.links[2].cut()

    three.machines[2].before_return = die
    waiting = threading.Event()
    three.machines[0].before_return = lambda _part: waiting.wait(5) and None
    three.start()
    asking = asyncio.create_task(three.ask("c/a", 1))
    for position in (2, 1):
        assert (await three.ending(position)).reason is EndReason.PEER_LOST
    three.links[1].cut()  # as its process would, when it ends
    waiting.set()
    assert (await three.ending(0)).reason is EndReason.PEER_LOST
    assert [three.desks[party].count.answered for party in (0, 1)] == [1, 1]
    assert values(await asking) == [2, 2, 2]


async def test_no_answer_leaves_before_all_that_the_peers_need_for_theirs_was_handed_over(workers: MakeWorkers) -> None:
    three = workers()
    large, go_on = bytes(8 << 20), threading.Event()

    def send(_part: str) -> None:
        three.links[0].send(1, memoryview(large))

    def receive(_part: str) -> None:
        go_on.wait(5)
        three.links[1].receive(0, len(large))

    three.machines[0].before_return, three.machines[1].before_return = send, receive
    three.start()
    asking = asyncio.create_task(three.ask("c/a", 1))
    async with asyncio.timeout(5):
        while not three.desks[2].count.answered:  # noqa: ASYNC110 (it is counted on a thread)
            await asyncio.sleep(0.005)
    assert not three.desks[0].count.answered
    go_on.set()
    assert values(await asking) == [2, 2, 2]


@pytest.mark.parametrize(
    "bad",
    [
        Order(Command.RUN, 1, 1, ("c/unknown",)),
        Order(Command.RUN, 0, 1, ("c/a",)),
        Order(Command.PREPARE, 1, 33),
    ],
)
async def test_an_order_that_cannot_be_ends_the_epoch(workers: MakeWorkers, bad: Order) -> None:
    three = workers()
    three.start(1)
    three.links[0].send(1, memoryview(order.encode(bad)))
    assert (await three.ending(0)).reason is EndReason.INVALID_ORDER
    assert three.machines[1].calls == []


@pytest.mark.parametrize("data", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\2{}", b"\0\0\0\1x"])
async def test_bytes_that_are_no_order_end_the_epoch(workers: MakeWorkers, data: bytes) -> None:
    three = workers()
    three.start(2)
    three.links[0].send(2, memoryview(data))
    assert (await three.ending(0)).reason is EndReason.INVALID_ORDER


async def test_a_fault_of_the_machine_is_raised_and_no_answer_is_counted(workers: MakeWorkers) -> None:
    three = workers()

    def fail(_part: str) -> None:
        raise ZeroDivisionError

    three.machines[1].before_return = fail
    three.start()
    asking = asyncio.create_task(three.ask("c/a", 1))
    with pytest.raises(ZeroDivisionError):
        await three.ending(1)
    assert three.desks[1].count.answered == 0
    three.links[1].cut()  # as its process would, when it ends
    for position in (0, 2):
        assert (await three.ending(position)).reason is EndReason.PEER_LOST
    assert isinstance((await three.erased(asking))[1], Refused)


async def test_latency_is_measured_for_each_run(workers: MakeWorkers) -> None:
    three = workers()
    assert three.engines[0].latency_ms() == {}
    three.start()
    for number in range(5):
        await three.ask(f"c/{number}", number)
    for engine in three.engines:
        latency = engine.latency_ms()
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] < 5000
    assert three.engines[LEADER].latency_ms()["p50"] > 0
