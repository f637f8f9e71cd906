"""The first words on a new link: frames over a non-blocking TLS socket, awaited on the event loop.

Afterwards the socket belongs to the engine thread (`links`) or to the loop's own callbacks (`control`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from triveni.worker import frame

Result = TypeVar("Result")


async def when_ready(sock: ssl.SSLSocket, operation: Callable[[], Result]) -> Result:
    """The result of an operation on a non-blocking TLS socket, retried whenever the socket is ready."""
    while True:
        try:
            return operation()
        except ssl.SSLWantReadError:
            await _ready(sock, write=False)
        except ssl.SSLWantWriteError:
            await _ready(sock, write=True)


async def _ready(sock: ssl.SSLSocket, *, write: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    add(sock, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        remove(sock)


async def send(sock: ssl.SSLSocket, document: object) -> None:
    """Send one frame."""
    data = frame.encode(document)
    await when_ready(sock, partial(sock.send, data))


async def receive(sock: ssl.SSLSocket) -> object:
    """The document of the next frame; InvalidFrame if it is none, OSError if the connection ends."""
    size = frame.length(await _exactly(sock, frame.LENGTH_BYTES))
    return frame.decode(await _exactly(sock, size))


async def _exactly(sock: ssl.SSLSocket, size: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = await when_ready(sock, partial(sock.recv_into, rest))
        if not count:
            raise ConnectionError("the connection ended during the greeting")
        rest = rest[count:]
    return data
