"""One worker's host as the notebook sees it: is it there, and an epoch of it from the order to the report."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from triveni.client.epoch import connection_problem
from triveni.client.transport import Expected
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import client_context
from triveni.keras.errors import HostRefused
from triveni.keras.order import MAX_BYTES, PATH, STARTED, STOP, Order
from triveni.local.reports import WorkerReport, report_of
from triveni.sharing.worker_link import Address

ASK_S = 5.0

START_S = 30.0
"""How long a host may take to start its worker."""

HEARTBEAT_S = 10.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How the worker of an epoch ended: its exit code and report, or the words of its host. None is not known."""

    code: int | None
    report: WorkerReport | None
    words: str


class HostLink:
    """The connection that an epoch of one worker lives on. `ended` is done when the worker has ended."""

    def __init__(self, party: int, address: Address, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.party, self._address, self._socket = party, address, socket
        self.ended: asyncio.Task[Ending] | None = None

    async def start(self, order: Order) -> None:
        """Give the order, and wait until its worker was started; HostRefused if it is not."""
        try:
            async with asyncio.timeout(START_S):
                await self._socket.send_str(order.text())
                answer = await self._answer()
        except TimeoutError:
            raise HostRefused(str(self), f"started no worker within {START_S:g} s") from None
        if answer.get("state") != STARTED:
            raise HostRefused(str(self), str(answer.get("problem") or "did not start its worker"))
        self.ended = asyncio.create_task(self._end())

    async def stop(self) -> None:
        """Ask the worker to end; its report follows."""
        with contextlib.suppress(ConnectionError):
            await self._socket.send_str(STOP)

    async def _end(self) -> Ending:
        answer = await self._answer()
        report, code = answer.get("report"), answer.get("code")
        words = str(answer.get("last_words") or answer.get("problem") or "")
        return Ending(
            code if type(code) is int else None, report_of(report) if isinstance(report, dict) else None, words
        )

    async def _answer(self) -> dict[str, Any]:
        """What the host says next; words of our own if it is gone."""
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            with contextlib.suppress(ValueError, RecursionError):
                document = json.loads(message.data)
                if isinstance(document, dict):
                    return document
        return {"problem": "the connection to its host broke"}

    def __str__(self) -> str:
        return f"worker {self.party} at {self._address}"


def _session(credentials: Credentials, me: Identity, party: int) -> aiohttp.ClientSession:
    """Connections to one worker's host and nobody else, decided in the handshake."""
    check = Expected(me.namespace, me.uid, party, None).check
    connector = aiohttp.TCPConnector(ssl=client_context(credentials, check), force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=ASK_S))


async def version_of(party: int, address: Address, credentials: Credentials, me: Identity) -> str:
    """The version of Triveni at a host that waits.

    Raises:
        HostRefused: nobody is there, or it does not answer as a host does.
    """
    async with _session(credentials, me, party) as session:
        try:
            async with session.get(f"https://{address}{PATH}", allow_redirects=False) as response:
                document = json.loads(await response.content.read(MAX_BYTES))
        except aiohttp.ClientError as error:
            raise HostRefused(f"worker {party} at {address}", connection_problem(error)) from None
        except (TimeoutError, ValueError, OSError, RecursionError):
            raise HostRefused(f"worker {party} at {address}", "no answer") from None
    if not isinstance(document, dict) or not isinstance(document.get("version"), str):
        raise HostRefused(f"worker {party} at {address}", "it is in an epoch, or no host of this cluster")
    return str(document["version"])


@asynccontextmanager
async def host_link(party: int, address: Address, credentials: Credentials, me: Identity) -> AsyncIterator[HostLink]:
    """A link for one epoch; the host ends its worker when the block is left, should it not have ended.

    Raises:
        HostRefused: the host is not there.
    """
    async with _session(credentials, me, party) as session:
        try:
            socket = await session.ws_connect(
                f"https://{address}{PATH}", heartbeat=HEARTBEAT_S, max_msg_size=MAX_BYTES * 2
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            problem = connection_problem(error) if isinstance(error, aiohttp.ClientError) else "no answer"
            raise HostRefused(f"worker {party} at {address}", problem) from None
        link = HostLink(party, address, socket)
        try:
            yield link
        finally:
            if link.ended is not None:
                link.ended.cancel()
                await asyncio.gather(link.ended, return_exceptions=True)
            await socket.close()
