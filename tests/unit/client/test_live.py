"""What workers say of themselves while they live: whatever comes back, whoever looks gets an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.unit.client.three_workers import Workers, three_workers
from triveni.client import WorkersUnreachable
from triveni.client.live import Live, WorkerStatus


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with three_workers(epoch=3) as three:
        yield three


async def test_each_worker_tells_its_state_and_counts(workers: Workers) -> None:
    async with Live(workers.connection) as live:
        status = await live.status()
    expected = {"state": "Serving", "epoch": 3, "granted": 100, "latency_ms": {}}
    assert status == tuple(WorkerStatus(party, **expected) for party in range(3))


async def test_a_worker_that_is_gone_is_a_problem_of_its_own(workers: Workers) -> None:
    await workers.parties[1].stop()
    async with Live(workers.connection) as live:
        status = await live.status()
        with pytest.raises(WorkersUnreachable, match="worker 1: connection refused"):
            await live.round_trip()
    assert [worker.problem for worker in status] == ["", "connection refused", ""]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (web.Response(text="no JSON"), "its answer is no JSON"),
        (web.Response(text="[1]"), "it answered 200"),
        (web.Response(text="{}", status=503), "it answered 503"),
    ],
)
async def test_an_answer_that_is_none_is_a_problem(answer: web.Response, problem: str) -> None:
    async with three_workers() as workers:
        await restarted_with(workers, answer)
        async with Live(workers.connection) as live:
            assert (await live.status())[0].problem == problem


async def test_odd_values_are_left_out() -> None:
    odd: dict[str, Any] = {"state": "Serving", "epoch": "one", "granted": None, "answered": 5, "latency_ms": []}
    async with three_workers() as workers:
        await restarted_with(workers, web.json_response(odd))
        async with Live(workers.connection) as live:
            assert (await live.status())[0] == WorkerStatus(0, state="Serving", answered=5)


async def restarted_with(workers: Workers, answer: web.Response) -> None:
    """Worker 0 answers so when it is asked for its status."""
    worker = workers.parties[0]
    await worker.stop()

    async def status(_request: web.Request) -> web.Response:
        return answer

    worker._status = status  # type: ignore[method-assign]
    await worker.start()
