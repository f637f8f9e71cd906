"""Three ports on this machine's loopback, each of which leads to one worker, whichever pod that is at the time.

A connection is held until a pod answers: pods start late, end, and are followed by those of another epoch. What a TLS
client says first is harmless to say again, and it says no more until it got an answer; so as long as no pod has said
anything, another one can be tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from triveni.client.cluster.stream import PodGone, PodStream
from triveni.client.errors import ClientError

HOST = "127.0.0.1"

CHUNK = 1 << 15

ANSWER_S = 5.0
"""How long a pod may take to say its first word; a node that is lost says nothing for minutes."""

CLOSE_S = 1.0
"""How long what was carried may take to leave for this machine's own client, when a connection ends."""

RETRY_FIRST_S, RETRY_MOST_S = 0.2, 2.0

Open = Callable[[int], Awaitable[PodStream]]
"""Connects to the pod of a worker; PodGone if it has none now, ClientError if there is no use in trying."""


class Tunnels:
    """The three ports.

    `problems` says, by party, why a connection could not be made when that was last tried; `failed` gets the first
    error after which there is no use in trying.
    """

    def __init__(self, connect: Open) -> None:
        self._connect = connect
        self._servers: list[asyncio.Server] = []
        self._handlers: set[asyncio.Task[None]] = set()
        self.problems: dict[int, str] = {}
        self.failed: asyncio.Future[ClientError] = asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[int, int, int]]:
        """The ports, in the order of parties, open until the end of the block.

        The block is cancelled once there is no use in trying, and the reason is raised.
        """
        try:
            first, second, third = await self.open()
            async with asyncio.timeout(None) as block:

                def cancel_block(_failed: object) -> None:
                    with suppress(RuntimeError):  # it is over already
                        block.reschedule(asyncio.get_running_loop().time())

                self.failed.add_done_callback(cancel_block)
                yield first, second, third
        except TimeoutError:
            if self.failed.done():
                raise self.failed.result() from None
            raise
        finally:
            await self.close()

    async def open(self) -> list[int]:
        """Listen; the ports in the order of parties."""
        for party in range(3):
            self._servers.append(await asyncio.start_server(partial(self._accept, party), HOST, 0))
        return [int(server.sockets[0].getsockname()[1]) for server in self._servers]

    async def close(self) -> None:
        """End all connections."""
        for server in self._servers:
            server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    def _accept(self, party: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.ensure_future(self._handle(party, reader, writer))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _handle(self, party: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            stream = await self._answering(party, reader)
            if stream is not None:
                await _carry(reader, writer, stream)
        except ClientError as error:
            if not self.failed.done():
                self.failed.set_result(error)
        except OSError:
            return  # the client hung up
        finally:
            await _closed(writer)

    async def _answering(self, party: int, reader: asyncio.StreamReader) -> Answering | None:
        """A pod that answered; None if the client did not wait for that."""
        hello, wait = await reader.read(CHUNK), RETRY_FIRST_S
        while not reader.at_eof():
            try:
                return await Answering.to(hello, await self._connect(party))
            except PodGone as error:
                self.problems[party] = error.problem
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_MOST_S)
        return None


@dataclass(frozen=True, slots=True)
class Answering:
    """A connection to a pod, and what the pod said first."""

    stream: PodStream
    first: bytes = field(repr=False)

    @classmethod
    async def to(cls, hello: bytes, stream: PodStream) -> Self:
        """Say hello; PodGone if it does not answer."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await stream.send(hello)
                return cls(stream, await stream.receive())
        except TimeoutError:
            await stream.close()
            raise PodGone(f"no answer within {ANSWER_S:g} s") from None
        except BaseException:
            await stream.close()
            raise


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pod: Answering) -> None:
    """Carry bytes both ways until either side ends."""
    writer.write(pod.first)
    stream = pod.stream
    ways = [asyncio.ensure_future(_up(reader, stream)), asyncio.ensure_future(_down(stream, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await stream.close()


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection; nothing is left of it when this returns, so the event loop may end."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_S):
            await writer.wait_closed()
    except OSError:  # the client hung up, or does not read
        return
    finally:
        writer.transport.abort()


async def _up(reader: asyncio.StreamReader, stream: PodStream) -> None:
    while data := await reader.read(CHUNK):
        await stream.send(data)


async def _down(stream: PodStream, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(await stream.receive())
        await writer.drain()
