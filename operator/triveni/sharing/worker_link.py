"""One worker as the sharing job sees it: an HTTPS connection to exactly the party that it should be.

Who answers is decided inside the TLS handshake, so no byte of a share can leave to anybody else. A worker that is not
there yet is tried again, which is safe since nothing was sent; nothing else is ever repeated.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from triveni.api.inference import HEADER_LENGTH, read_error
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.sockets import Sockets
from triveni.identity.tls import UnexpectedPeer, WrongPeer, client_context
from triveni.sharing.failures import SharingFailure, WorkerRefused, WorkerUnreachable

CONNECT_TIMEOUT_S = 5.0
"""For the TLS handshake too, which may go by way of an API server."""

RETRY_AFTER_S = 0.1
NOT_THERE_YET = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT})

MAX_ANSWER_BYTES = 2**20
SEND_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker listens; an IPv6 host is without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port``; ValueError if it is not that."""
        host, colon, port = text.rpartition(":")
        if not (colon and host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"{text!r} is not HOST:PORT")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))


@dataclass(frozen=True, slots=True, repr=False)
class Body:
    """What is PUT: chunks of memory that are not copied, and where its JSON header ends if tensors follow."""

    chunks: Sequence[bytes | memoryview]
    header_length: int | None = None

    def headers(self) -> dict[str, str]:
        """The HTTP headers that describe it."""
        headers = {"Content-Length": str(sum(len(chunk) for chunk in self.chunks))}
        if self.header_length is None:
            return headers | {"Content-Type": "application/json"}
        return headers | {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(self.header_length)}

    async def stream(self) -> AsyncIterator[memoryview]:
        """The bytes in pieces."""
        for chunk in self.chunks:
            view = memoryview(chunk)
            for start in range(0, len(view), SEND_BYTES):
                yield view[start : start + SEND_BYTES]


@dataclass
class WorkerLink:
    """PUTs to one worker. `state` says in words what it is waiting for, for whoever has to explain a timeout."""

    party: int
    address: Address
    session: aiohttp.ClientSession = field(repr=False)
    sockets: Sockets = field(repr=False)
    state: str = "was not asked yet"

    async def put(self, path: str, body: Body) -> Mapping[str, Any]:
        """Send a body once; wait for the worker to be there, without an end of its own (the caller has a deadline).

        Raises:
            WorkerUnreachable: another party answers at this address, or the connection broke.
            WorkerRefused: the worker said no.
        """
        while True:
            try:
                url = f"https://{self.address}{path}"
                # A redirect is not followed: it may lead out of TLS.
                request = self.session.put(url, data=body.stream(), headers=body.headers(), allow_redirects=False)
                self.state = "has not answered"
                async with request as response:
                    answer = self._read(response.status, await _bounded(response))
                self.state = "is done"
                return answer
            except aiohttp.ClientError as error:
                problem = _not_there_yet(error)
                if problem is None:
                    raise self._broken(error) from error
            self.state = f"cannot be connected to ({problem})"
            await asyncio.sleep(RETRY_AFTER_S)

    def _read(self, status: int, body: bytes) -> Mapping[str, Any]:
        if status != 200:
            reason, message = read_error(body)
            raise WorkerRefused(self.party, status, reason.value if reason else "for no known reason", message)
        try:
            document = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise WorkerUnreachable(self.party, str(self.address), "its answer is no JSON object")
        return document

    def _broken(self, error: aiohttp.ClientError) -> SharingFailure:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            problem = str(error.certificate_error)
        elif isinstance(error, aiohttp.ClientOSError):
            problem = f"the connection failed ({error.strerror or type(error).__name__})"
        else:
            problem = f"the connection broke ({type(error).__name__})"
        return WorkerUnreachable(self.party, str(self.address), problem)


def _not_there_yet(error: aiohttp.ClientError) -> str | None:
    """Why a connection was not made though it may be in a moment; None if this is no such error."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no answer"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno in NOT_THERE_YET:
        return os.strerror(error.os_error.errno or 0).lower()
    return None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise aiohttp.ClientPayloadError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


@asynccontextmanager
async def worker_links(
    addresses: Sequence[Address], credentials: Credentials, me: Identity
) -> AsyncIterator[list[WorkerLink]]:
    """Links to the three workers of the epoch that the sharer's own certificate names; nothing is left at the end."""
    links: list[WorkerLink] = []
    try:
        for party, address in enumerate(addresses):
            expected = Identity.worker(me.namespace, me.uid, me.epoch or 0, party)
            # A connection for each PUT: on a kept one that turns out closed aiohttp may send a PUT again on its own.
            sockets = Sockets()
            context = _context(credentials, expected)
            connector = aiohttp.TCPConnector(ssl=context, force_close=True, socket_factory=sockets)
            session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
                auto_decompress=False,
            )
            links.append(WorkerLink(party, address, session, sockets))
        yield links
    finally:
        for link in links:
            await link.session.close()
            await link.sockets.close()


def _context(credentials: Credentials, expected: Identity) -> ssl.SSLContext:
    """A context whose handshakes fail unless the peer is `expected`."""

    def check(got: Identity) -> None:
        if got != expected:
            raise UnexpectedPeer(str(WrongPeer(expected.uri, got.uri)))

    return client_context(credentials, check)
