"""Whatever others do with their connections, an honest client is answered, and about as fast as before."""

from __future__ import annotations

import asyncio
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import INFER, Cluster, wait_until
from triveni.client import Client
from triveni.identity.tls import client_context

TIMES = 30

SLOWER, SLACK_S = 5.0, 0.5
"""How much longer an answer may take: the crowd needs some of this machine, too."""

Behaviour = Callable[[tuple[str, int], ssl.SSLContext, Callable[[], None]], Coroutine[None, None, None]]


async def silent(address: tuple[str, int], _context: ssl.SSLContext, ready: Callable[[], None]) -> None:
    """Connects, and begins no handshake."""
    reader, writer = await asyncio.open_connection(*address)
    ready()
    await _until_cut(reader, writer)


async def half_open(address: tuple[str, int], _context: ssl.SSLContext, ready: Callable[[], None]) -> None:
    """Begins a handshake, and does not go on."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"\x16\x03\x01\x02\x00")
    ready()
    await _until_cut(reader, writer)


async def dripping_header(address: tuple[str, int], context: ssl.SSLContext, ready: Callable[[], None]) -> None:
    """A byte now and then of a header that never ends."""
    reader, writer = await asyncio.open_connection(*address, ssl=context)
    writer.write(b"GET /v2 HTTP/1.1\r\nX: ")
    ready()
    await _until_cut(reader, writer, b"y")


async def dripping_body(address: tuple[str, int], context: ssl.SSLContext, ready: Callable[[], None]) -> None:
    """A byte now and then of a body as large as the worker takes."""
    reader, writer = await asyncio.open_connection(*address, ssl=context)
    head = f"POST {INFER} HTTP/1.1\r\nHost: w\r\nContent-Length: 200000\r\nInference-Header-Content-Length: 50\r\n\r\n"
    writer.write(head.encode())
    ready()
    await _until_cut(reader, writer, b" ")


async def _until_cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, piece: bytes = b"") -> None:
    reading = asyncio.create_task(reader.read())
    try:
        while not reading.done():
            writer.write(piece)
            await asyncio.wait([reading], timeout=0.25)
    finally:
        reading.cancel()
        writer.transport.abort()


@contextmanager
def crowd(served: Cluster, behaviour: Behaviour, size: int) -> Iterator[None]:
    """So many connections at each worker, which come again as soon as they are cut."""
    context = client_context(served.client_credentials("mallory"))
    there: set[int] = set()
    stop = threading.Event()

    async def one(number: int) -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                await behaviour(served.address(number % 3), context, lambda: there.add(number))
            await asyncio.sleep(0.05)

    async def all_of_them() -> None:
        tasks = [asyncio.create_task(one(number)) for number in range(3 * size)]
        await asyncio.to_thread(stop.wait)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    thread = threading.Thread(target=lambda: asyncio.run(all_of_them()))
    thread.start()
    try:
        wait_until(lambda: len(there) == 3 * size)
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("behaviour", "size"),
    [(silent, 100), (half_open, 100), (dripping_header, 30), (dripping_body, 30)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_others_that_hang_do_not_make_an_honest_client_wait(
    served: Cluster, digits: NDArray[np.float32], behaviour: Behaviour, size: int
) -> None:
    with Client(served.connection(), deadline=20) as client:
        usual = _median_s(client, digits[0])
        with crowd(served, behaviour, size):
            with Client(served.connection(name="bob"), deadline=20) as newcomer:
                newcomer.predict(digits[0])
            meanwhile = _median_s(client, digits[0])
    assert meanwhile < SLOWER * usual + SLACK_S


def _median_s(client: Client, digit: NDArray[np.float32]) -> float:
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        client.predict(digit)
        times.append(time.perf_counter() - began)
    return statistics.median(times)
