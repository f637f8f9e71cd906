"""HTTPS to one worker, and to nobody else: who answers is decided inside the TLS handshake.

A connection whose peer is not the worker that it should be never comes to exist, so no byte of a share can leave on
it, whichever request it was opened for. Once an epoch is known its connections accept workers of that epoch only:
shares made for one epoch cannot reach another. Redirects are not followed, since they may lead out of TLS.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from triveni.client.connection import Connection
from triveni.client.errors import InvalidConnection
from triveni.identity.names import Identity, Role
from triveni.identity.sockets import Sockets
from triveni.identity.tls import InvalidCredentials, UnexpectedPeer, client_context

CONNECT_TIMEOUT_S = 5.0

WHOLE_BYTES = 2**20

CONNECTIONS = 64
"""Most connections to one worker; more requests than that wait for one."""

IDLE_S = 60.0
"""How long an unused connection is kept; workers keep theirs longer, so that the client is the one who closes."""


class OtherEpoch(UnexpectedPeer):
    """The right worker, of another epoch than the one that the connection is for."""


class OtherWorker(UnexpectedPeer):
    """Not the worker that should be there."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Who has to answer: this party of this SecureModel, in this epoch or (None) in any."""

    namespace: str
    uid: str
    party: int
    epoch: int | None

    def check(self, got: Identity) -> None:
        """OtherWorker or OtherEpoch if it is somebody else."""
        if (got.namespace, got.uid, got.role, got.party) != (self.namespace, self.uid, Role.WORKER, self.party):
            raise OtherWorker(f"{got} answers there, not worker {self.party} of {self.namespace}/{self.uid}")
        if self.epoch not in (None, got.epoch):
            raise OtherEpoch(f"worker {self.party} is in epoch {got.epoch}, not {self.epoch}")


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """Status, headers and body of a worker's answer; the body may hold shares and is never shown."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AnswerTooLong(aiohttp.ClientError):
    """A worker sent more than was asked for, or did not say how much."""


@dataclass
class WorkerLink:
    """Kept connections to one worker."""

    party: int
    address: str
    session: aiohttp.ClientSession = field(repr=False)
    sockets: Sockets = field(repr=False)

    async def get(self, path: str, most: int) -> Reply:
        """GET; `most` bytes of answer at most.

        Raises:
            aiohttp.ClientError: as aiohttp; a certificate that is not the expected one is a
                `ClientConnectorCertificateError` of an `OtherWorker` or `OtherEpoch`.
        """
        async with self.session.get(URL(self.address + path, encoded=True), allow_redirects=False) as response:
            return await _reply(response, most)

    async def post(self, url: URL, body: bytes, headers: Mapping[str, str], most: int) -> Reply:
        """POST once, never repeated here; errors as `get`."""
        # aiohttp writes bytes in one go and complains if they are many; a file it writes in pieces.
        data = body if len(body) <= WHOLE_BYTES else io.BytesIO(body)
        async with self.session.post(url, data=data, headers=headers, allow_redirects=False) as response:
            return await _reply(response, most)

    async def close(self) -> None:
        """Drop the connections; none is left when this returns."""
        await self.session.close()
        await self.sockets.close()


async def close(links: Iterable[WorkerLink]) -> None:
    """Drop the connections of several links at once: of all, also if the caller's deadline passes meanwhile."""
    closing = asyncio.gather(*(link.close() for link in links))
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.wait([closing])
        raise


async def _reply(response: aiohttp.ClientResponse, most: int) -> Reply:
    if response.content_length is None or response.content_length > most:
        raise AnswerTooLong(f"an answer of {response.content_length} bytes, at most {most} are read")
    return Reply(response.status, response.headers, await response.read())


def worker_link(connection: Connection, party: int, epoch: int | None) -> WorkerLink:
    """A link to worker `party` that accepts only it, and only in `epoch` (None: in any).

    Raises:
        InvalidConnection: the credentials of the connection cannot be used.
    """
    try:
        context = client_context(
            connection.credentials, Expected(connection.namespace, connection.uid, party, epoch).check
        )
    except InvalidCredentials as error:
        raise InvalidConnection(connection.name, "credentials", str(error)) from error
    sockets = Sockets()
    session = aiohttp.ClientSession(
        # aiohttp sets TCP_NODELAY itself.
        connector=aiohttp.TCPConnector(
            ssl=context, limit=CONNECTIONS, keepalive_timeout=IDLE_S, socket_factory=sockets
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
    )
    return WorkerLink(party, connection.workers[party].rstrip("/"), session, sockets)
