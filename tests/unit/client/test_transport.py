"""The links to the workers: how they are closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.unit.client.three_workers import Workers, three_workers
from triveni.client.transport import close, worker_link


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with three_workers() as workers:
        yield workers


async def test_a_deadline_that_passes_while_links_are_closed_leaves_none_of_them_open(workers: Workers) -> None:
    links = [worker_link(workers.connection, party, None) for party in range(3)]
    for link in links:
        await link.get("/v2/health/live", 2**20)
    closing = asyncio.create_task(close(links))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert [link.session.closed for link in links] == [True] * 3
