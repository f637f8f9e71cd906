"""The synchronous client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import numpy as np
import pytest

from tests.unit.client.three_workers import INPUT_SHAPE, Workers, hang, plain, three_workers
from triveni.client import Client, DeadlineExceeded

ONE = np.arange(6.0).reshape(INPUT_SHAPE)


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Three workers on a loop in another thread, which leaves no task behind."""
    ready: Future[tuple[Workers, Callable[[], object]]] = Future()

    async def serve() -> None:
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        async with three_workers() as serving:
            ready.set_result((serving, lambda: loop.call_soon_threadsafe(over.set)))
            await over.wait()

    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(asyncio.run, serve())
        serving, end = ready.result(20)
        try:
            yield serving
        finally:
            end()
            served.result(20)


def test_it_answers_as_the_plain_model(workers: Workers) -> None:
    with Client(workers.connection, deadline=20) as client:
        np.testing.assert_array_equal(client.predict(ONE), plain(ONE)[0])
        assert client.describe().epoch == 1


def test_threads_that_share_a_client_each_get_their_own_answer(workers: Workers) -> None:
    inputs = [ONE * number for number in range(1, 41)]
    with Client(workers.connection, deadline=20) as client, ThreadPoolExecutor(8) as pool:
        for x, answer in zip(inputs, pool.map(client.predict, inputs), strict=True):
            np.testing.assert_array_equal(answer, plain(x)[0])


def test_the_deadline_holds(workers: Workers) -> None:
    workers.parties[0].always = hang
    with Client(workers.connection) as client, pytest.raises(DeadlineExceeded):
        client.predict(ONE, deadline=0.2)


def test_closing_ends_the_thread_and_cancels_who_still_waits(workers: Workers) -> None:
    workers.parties[0].always = hang
    threads = threading.active_count()
    client = Client(workers.connection, deadline=20)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.predict, ONE)
        while not workers.parties[0].seen:
            assert not waiting.done()
        client.close()
        with pytest.raises(CancelledError):
            waiting.result(10)
    client.close()
    assert threading.active_count() == threads


def test_its_repr_names_the_model_only(workers: Workers) -> None:
    with Client(workers.connection) as client:
        assert repr(client) == "<Client of default/mnist>"
