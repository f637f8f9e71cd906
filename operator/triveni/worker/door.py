"""The front's door: accepts connections, shakes hands, and lets nobody take the place of the others.

Until its handshake is finished a connection is a stranger's (see `handshakes`). From then on the certificate says who
it is, and each name has a number of connections of its own.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from triveni.api.inference import Reason, error_body
from triveni.identity.tls import WrongPeer, certified_identity, handshake_problem
from triveni.worker.handshakes import Handshakes
from triveni.worker.log import Refusals

HANDSHAKE_S = 10.0
"""How long a handshake may take."""

HANDSHAKES = 256
"""Handshakes that may be unfinished at once."""

FIRST_REQUEST_S = 10.0
"""How long after its handshake a connection may take until the header of its first request is there."""

KEEP_ALIVE_S = 90.0
"""The same for each further request. Longer than clients keep a connection, so that it is the client who closes it."""

CONNECTIONS = 512
"""Connections at once, of everybody. With unfinished handshakes they fit into the 1,024 files of a process."""

NAME_CONNECTIONS = 128
"""Of them, those with the same name in their certificates. Each carries one request at a time, so it bounds those as
well; the client library uses at most 64."""

LINE_BYTES, LINES = 4096, 32
"""The longest line of a request's header, and how many there may be."""

LINGER_S = 2.0
GOODBYE_S = 2.0
"""How long TLS may take to say goodbye, before the connection is cut."""


class Visit(web.RequestHandler):
    """One connection that has shown a certificate, from its handshake to its end."""

    def __init__(self, visitors: Visitors, **options: Any) -> None:
        super().__init__(visitors, **options)
        self.name = "a certificate without a name"
        self.counted = False
        self._visitors = visitors
        self._connection: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Its name is known now; whether there is room for it, too."""
        super().connection_made(transport)
        self._connection = cast(asyncio.Transport, transport)
        try:
            self.name = certified_identity(transport.get_extra_info("peercert") or {}).uri
        except WrongPeer as error:
            self.name = error.got
        problem = self._visitors.enter(self)
        if problem is None:
            self._wait(FIRST_REQUEST_S)
        else:
            self._cut(problem)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone, and there is room for another."""
        self._stop_waiting()
        self._connection = None
        self._visitors.leave(self)
        super().connection_lost(exc)

    def request_began(self) -> None:
        """The header of a request has come; it takes as long as whoever answers it allows."""
        self._stop_waiting()

    def request_ended(self) -> None:
        """From now on the answer has to be read, and the next request to come."""
        if self._connection is not None:
            self._wait(KEEP_ALIVE_S + LINGER_S)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that is not HTTP, or whose header is too large: aiohttp would log each of them."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        reason, text = Reason.MALFORMED, "the request is not HTTP/1.1 as a client writes it"
        if isinstance(exc, LineTooLong) or "headers" in exc.message.lower():
            reason, text = Reason.TOO_LARGE, f"header: at most {LINES} lines of {LINE_BYTES} bytes are taken"
        self._visitors.refusals.note("request refused", self.name, text)
        answer = web.Response(
            body=error_body(reason, text), status=reason.status, headers={"Content-Type": "application/json"}
        )
        answer.force_close()
        return answer

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        problem = f"no whole request came within {seconds:g} s"
        self._timer = asyncio.get_running_loop().call_later(seconds, self._cut, problem)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self, problem: str) -> None:
        self._visitors.refusals.note("connection closed", self.name, problem)
        if self._connection is not None:
            self._connection.abort()


class Visitors(web.Server):
    """All connections that have shown a certificate."""

    def __init__(self, answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], refusals: Refusals) -> None:
        super().__init__(
            answer,
            handler_cancellation=True,  # a client that went away does not wait any more
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=LINGER_S,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=LINES,
        )
        self.refusals = refusals
        self._by_name: Counter[str] = Counter()

    def __call__(self) -> Visit:
        """A connection that is about to be made."""
        return Visit(self, loop=self._loop, **self._kwargs)

    def enter(self, visit: Visit) -> str | None:
        """Count a connection; why it cannot stay, if it cannot."""
        if self._by_name[visit.name] >= NAME_CONNECTIONS:
            return f"it has {NAME_CONNECTIONS} connections already"
        if self._by_name.total() >= CONNECTIONS:
            return f"there are {CONNECTIONS} connections already"
        self._by_name[visit.name] += 1
        visit.counted = True
        return None

    def leave(self, visit: Visit) -> None:
        """It has ended."""
        if visit.counted:
            visit.counted = False
            self._by_name[visit.name] -= 1
            self._by_name += Counter()  # names without a connection go


class Door:
    """Accepts on a bound socket, until `close`."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext, visitors: Visitors) -> None:
        self._listener = listener
        self._context = context
        self._visitors = visitors
        handshakes = Handshakes(HANDSHAKES, self._refuse)
        self._accepting = asyncio.create_task(handshakes.accept(listener, self._shake_hands))

    def close(self) -> None:
        """Accept nobody any more; handshakes that are not finished end. Once closed, it does nothing."""
        if self._listener.fileno() < 0:
            return
        # Else one that comes in this very turn would be accepted for a task that waits no more: an error in the log.
        asyncio.get_running_loop().remove_reader(self._listener)
        self._accepting.cancel()
        self._listener.close()

    async def _shake_hands(self, sock: socket.socket, address: str) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._visitors,
                sock,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=GOODBYE_S,
            )
        except ConnectionAbortedError:
            self._refuse(address, f"TLS: no handshake within {HANDSHAKE_S:g} s")
        except ConnectionError:
            return  # it went away by itself
        except OSError as error:
            self._refuse(address, handshake_problem(error))

    def _refuse(self, address: str, why: str) -> None:
        self._visitors.refusals.note("connection refused", address, why)
