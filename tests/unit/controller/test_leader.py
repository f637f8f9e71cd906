"""Leader election: at most one acts at any moment, whatever the network does, and soon another if that one is gone."""

import asyncio
from collections.abc import Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.controller.lease_store import Network, Server, error, uneven
from tests.unit.controller.virtual_time import elapsed, run
from triveni.controller.cluster import Conflict, Refused
from triveni.controller.leader import CLIENT_GO, LeaderElection, LeaseLost, Timing, new_identity

EPOCH = datetime(2026, 11, 24, 22, tzinfo=UTC)


@dataclass
class Candidate:
    """A replica, and the spans of time in which it acted."""

    name: str
    network: Network
    clock_error: float = 0.0
    stops_in: float = 0.0
    spans: list[list[float]] = field(default_factory=list)
    acting: asyncio.Event = field(default_factory=asyncio.Event)
    election: LeaderElection = field(init=False)

    def __post_init__(self) -> None:
        self.election = LeaderElection(
            self.network,
            lease="triveni",
            namespace="triveni-system",
            identity=self.name,
            now=lambda: EPOCH + timedelta(seconds=elapsed() + self.clock_error),
        )

    async def lead(self) -> None:
        assert self.election.leading
        span = [elapsed(), float("inf")]
        self.spans.append(span)
        self.acting.set()
        try:
            await asyncio.Event().wait()
        finally:
            if self.stops_in:
                await asyncio.sleep(self.stops_in)
            span[1] = elapsed()
            self.acting.clear()

    def start(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.election.run(self.lead))


def candidate(server: Server, name: str = "a", **network: Any) -> Candidate:
    return Candidate(name, Network(server, **network))


async def cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, LeaseLost):
        await task


@asynccontextmanager
async def running(*candidates: Candidate) -> Any:
    """Run candidates in this order, each to begin once the one before acts or has looked at the Lease."""
    tasks = []
    for each in candidates:
        tasks.append(each.start())
        await asyncio.sleep(1)
    try:
        yield tasks
    finally:
        for task in tasks:
            await cancel(task)


def in_virtual_time(scenario: Any) -> Any:
    """A test as a coroutine that runs in virtual time."""

    def test() -> None:
        work: Coroutine[Any, Any, None] = scenario()
        run(work)

    test.__name__ = scenario.__name__
    return test


# --- one candidate ------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_the_first_candidate_makes_the_lease_and_leads_at_once() -> None:
    server = Server()
    a = candidate(server)
    async with running(a):
        assert a.election.leading
        assert a.spans[0][0] < 0.1
        assert server.lease is not None
        assert server.lease["metadata"]["namespace"] == "triveni-system"
        assert server.lease["spec"] == {
            "holderIdentity": "a",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-11-24T22:00:00.010000Z",
            "renewTime": "2026-11-24T22:00:00.010000Z",
            "leaseTransitions": 0,
        }


@in_virtual_time
async def test_a_leader_renews_every_two_seconds_and_stays_one_transition() -> None:
    server = Server()
    async with running(candidate(server)):
        await asyncio.sleep(60)
        assert 28 <= len(server.history) <= 31
        assert {spec["leaseTransitions"] for spec in server.history} == {0}
        assert {spec["acquireTime"] for spec in server.history} == {"2026-11-24T22:00:00.010000Z"}


@in_virtual_time
async def test_times_have_six_digits_even_at_a_whole_second() -> None:
    server = Server()
    async with running(candidate(server, delays=lambda: (1.0, 0.0))):
        await asyncio.sleep(2)
        assert server.history[0]["renewTime"] == "2026-11-24T22:00:01.000000Z"


@in_virtual_time
async def test_a_leader_outlives_a_network_that_is_gone_for_less_than_the_renew_deadline() -> None:
    a = candidate(Server(), down=((10.0, 14.0),))
    async with running(a):
        await asyncio.sleep(60)
        assert len(a.spans) == 1
        assert a.election.leading


@in_virtual_time
async def test_a_leader_outlives_a_call_that_never_ends() -> None:
    slow = iter([True])
    a = candidate(Server(), delays=lambda: (1000.0 if elapsed() > 5 and next(slow, False) else 0.01, 0.01))
    async with running(a):
        await asyncio.sleep(60)
        assert a.election.leading


@in_virtual_time
async def test_a_leader_that_cannot_renew_stops_before_the_lease_runs_out() -> None:
    server = Server()
    a = candidate(server, down=((10.0, 1000.0),))
    with pytest.raises(LeaseLost, match="could not be renewed within 10 s") as lost:
        await a.election.run(a.lead)
    assert lost.value.holder is None
    assert not a.election.leading
    renewed = datetime.fromisoformat(server.history[-1]["renewTime"])
    assert (a.spans[0][1] - (renewed - EPOCH).total_seconds()) == pytest.approx(10, abs=0.1)


@in_virtual_time
async def test_a_leader_counts_from_when_it_sent_a_renewal_not_from_when_the_answer_came() -> None:
    server = Server()
    a = candidate(server, delays=lambda: (0.01, 1.9), down=((20.0, 1000.0),))
    with pytest.raises(LeaseLost):
        await a.election.run(a.lead)
    renewed = datetime.fromisoformat(server.history[-1]["renewTime"])
    assert a.spans[0][1] - (renewed - EPOCH).total_seconds() <= 10.01


@in_virtual_time
async def test_a_leader_whose_answers_get_lost_stops_too_since_it_cannot_know() -> None:
    a = candidate(Server(), deaf=((10.0, 1000.0),))
    with pytest.raises(LeaseLost):
        await a.election.run(a.lead)
    assert a.spans[0][1] < 20.1


@in_virtual_time
async def test_a_candidate_without_rights_keeps_trying() -> None:
    a = candidate(Server(), refused=error(Refused, 403))
    async with running(a):
        await asyncio.sleep(30)
        assert not a.spans
        a.network.refused = None
        await asyncio.sleep(2.1)
        assert a.election.leading


@in_virtual_time
async def test_a_conflict_with_a_person_who_edits_the_lease_is_no_loss() -> None:
    server = Server()
    a = candidate(server)
    async with running(a):
        a.network.refused = error(Conflict, 409)
        await asyncio.sleep(3)
        a.network.refused = None
        await asyncio.sleep(30)
        assert len(a.spans) == 1


@in_virtual_time
async def test_a_deleted_lease_is_made_again_by_its_leader() -> None:
    server = Server()
    a = candidate(server)
    async with running(a):
        server.lease = None
        await asyncio.sleep(3)
        assert server.holder == "a"
        assert len(a.spans) == 1


@in_virtual_time
async def test_a_leader_that_finds_another_holder_stops_at_once() -> None:
    server = Server()
    a = candidate(server)
    task = a.start()
    await asyncio.sleep(5)
    server.merge({"metadata": server.get()["metadata"], "spec": {"holderIdentity": "thief"}})
    with pytest.raises(LeaseLost, match="held by thief"):
        await task
    assert elapsed() < 7.1
    assert server.holder == "thief"


# --- how leading ends ---------------------------------------------------------------------------------------------


@in_virtual_time
async def test_work_that_ends_releases_the_lease() -> None:
    server = Server()

    async def brief() -> None:
        await asyncio.sleep(5)

    await candidate(server).election.run(brief)
    assert server.lease is not None
    assert server.holder is None


@in_virtual_time
async def test_work_that_fails_releases_the_lease_and_its_error_is_raised() -> None:
    server = Server()

    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await candidate(server).election.run(broken)
    assert server.holder is None


@in_virtual_time
async def test_a_cancelled_leader_keeps_renewing_until_its_work_has_ended_and_then_releases() -> None:
    server = Server()
    a = candidate(server)
    a.stops_in = 12.0
    task = a.start()
    await asyncio.sleep(5)
    task.cancel()
    await asyncio.sleep(11)
    assert a.election.leading
    assert server.holder == "a"
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not a.election.leading
    assert server.holder is None
    assert a.spans[0][1] == pytest.approx(17.0)


@in_virtual_time
async def test_the_lease_is_not_released_while_work_refuses_to_end() -> None:
    server = Server()
    a = candidate(server)
    a.stops_in = 1000.0
    task = a.start()
    await asyncio.sleep(5)
    await cancel(task)
    assert elapsed() == pytest.approx(20.0, abs=0.1)
    assert server.holder == "a"


@in_virtual_time
async def test_a_release_that_fails_does_not_hold_up_the_end() -> None:
    server = Server()
    a = candidate(server, down=((5.0, 1000.0),))
    task = a.start()
    await asyncio.sleep(6)
    await cancel(task)
    assert elapsed() < 6 + CLIENT_GO.call + 0.1
    assert server.holder == "a"


@in_virtual_time
async def test_a_candidate_cancelled_while_its_write_is_under_way_leaves_no_lease_behind() -> None:
    server = Server()
    a = candidate(server)
    a.network.delays = lambda: (0.1, 2.0 if a.network.calls == 2 else 0.1)
    task = a.start()
    await asyncio.sleep(1)
    assert server.holder == "a"
    assert not a.election.leading
    await cancel(task)
    assert server.holder is None
    assert not a.spans


# --- two candidates -----------------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_second_candidate_waits_as_long_as_the_first_renews() -> None:
    server = Server()
    a, b = candidate(server), candidate(server, "b")
    async with running(a, b):
        await asyncio.sleep(300)
        assert a.election.leading
        assert not b.spans


@in_virtual_time
async def test_after_a_release_the_other_takes_over_at_its_next_look() -> None:
    server = Server()
    a, b = candidate(server), candidate(server, "b")
    async with running(a, b) as (first, _):
        await asyncio.sleep(20)
        await cancel(first)
        released = elapsed()
        await b.acting.wait()
        assert elapsed() - released <= CLIENT_GO.retry + 0.1
        assert server.history[-1]["leaseTransitions"] == 1


@in_virtual_time
async def test_after_a_death_the_other_takes_over_when_the_lease_has_run_out() -> None:
    server = Server()
    a, b = candidate(server, down=((20.0, 1000.0),)), candidate(server, "b")
    async with running(a, b) as (first, _):
        with suppress(LeaseLost):
            await first
        await b.acting.wait()
        assert 15 - CLIENT_GO.retry <= elapsed() - 20 <= 15 + CLIENT_GO.retry


@pytest.mark.parametrize("clock_error", [-1e6, 1e6])
def test_a_clock_that_is_wrong_by_days_changes_nothing(clock_error: float) -> None:
    async def scenario() -> None:
        server = Server()
        a = candidate(server)
        b = Candidate("b", Network(server), clock_error=clock_error)
        async with running(a, b):
            await asyncio.sleep(100)
            assert a.election.leading
            assert not b.spans

    run(scenario())


@in_virtual_time
async def test_a_fresh_candidate_waits_out_a_whole_term_of_a_lease_it_finds() -> None:
    server = Server()
    server.create({"metadata": {}, "spec": {"holderIdentity": "gone", "leaseDurationSeconds": 30, "renewTime": "old"}})
    a = candidate(server)
    async with running(a):
        await a.acting.wait()
        assert elapsed() == pytest.approx(30, abs=CLIENT_GO.retry)


spans = st.lists(st.tuples(st.floats(0, 80), st.floats(1, 40)), max_size=3).map(
    lambda pairs: tuple((begin, begin + length) for begin, length in pairs)
)


@settings(max_examples=25, deadline=None)
@given(
    seeds=st.tuples(st.integers(0, 999), st.integers(0, 999), st.integers(0, 999)),
    slowest=st.floats(0.01, 3.0),
    down=st.tuples(spans, spans, spans),
    deaf=st.tuples(spans, spans, spans),
    stops_in=st.tuples(st.floats(0, 4.9), st.floats(0, 4.9), st.floats(0, 4.9)),
)
def test_two_never_act_at_the_same_time_and_somebody_acts_once_the_network_is_good(
    seeds: tuple[int, ...],
    slowest: float,
    down: tuple[tuple[tuple[float, float], ...], ...],
    deaf: tuple[tuple[tuple[float, float], ...], ...],
    stops_in: tuple[float, ...],
) -> None:
    async def scenario() -> None:
        server = Server()
        candidates = []
        for position, name in enumerate("abc"):
            network = Network(server, uneven(seeds[position], slowest), down[position], deaf[position])
            candidates.append(Candidate(name, network, stops_in=stops_in[position]))

        async def live(each: Candidate) -> None:
            while True:
                with suppress(LeaseLost):
                    await each.election.run(each.lead)

        tasks = [asyncio.create_task(live(each)) for each in candidates]
        await asyncio.sleep(120)
        for each in candidates:
            each.network.delays = lambda: (0.01, 0.01)
        await asyncio.sleep(60)
        assert sum(each.election.leading for each in candidates) == 1
        for task in tasks:
            await cancel(task)
        acted = sorted((begin, end) for each in candidates for begin, end in each.spans)
        for (_, end), (begin, _) in pairwise(acted):
            assert end <= begin

    run(scenario())


# --- what it is made of -------------------------------------------------------------------------------------------


def test_every_life_of_a_pod_has_an_identity_of_its_own() -> None:
    assert new_identity("triveni-0").startswith("triveni-0_")
    assert new_identity("triveni-0") != new_identity("triveni-0")


@pytest.mark.parametrize(
    "timing", [{"retry": 0}, {"call": 0}, {"renew": 15.0}, {"retry": 8.0, "call": 4.0}, {"lease": 5}]
)
def test_a_timing_in_which_a_leader_could_act_too_long_is_refused(timing: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must fit into renew"):
        Timing(**timing)
