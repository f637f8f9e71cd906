"""One epoch as a client sees it: three links that accept its workers only, and how a request is asked there.

What is sent again is the same bytes under the same id, which is safe: the worker gives the same answer. Whatever means
that the epoch may be over is `EpochOver`; the caller looks for the workers again.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import aiohttp
import numpy as np
from numpy.typing import NDArray
from yarl import URL

from triveni.api.inference import Reason, read_error
from triveni.client.connection import Connection
from triveni.client.description import Description
from triveni.client.errors import ClientError, QuotaReached, RequestRefused, WrongAnswer, WrongWorker
from triveni.client.request import Request, join, largest_answer, read_answer
from triveni.client.together import together
from triveni.client.transport import AnswerTooLong, OtherEpoch, Reply, WorkerLink, close, worker_link
from triveni.identity.tls import UnexpectedPeer

Words = NDArray[np.int64]

RESEND_AFTER_S = (0.0, 0.1)
"""After a broken connection the same bytes are sent again so often, after these waits."""

CLOSED = "it closed the connection"

BUSY_AFTER_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""The same for a worker that says it is busy."""


@dataclass(eq=False)
class EpochOver(Exception):
    """This epoch does not answer any more, as far as worker `party` is concerned.

    `request_gone`: that worker has dropped the request, so its id and shares are of no use even if the epoch lives.
    """

    party: int
    why: str
    request_gone: bool = False


@dataclass(eq=False)
class Epoch:
    """Links to the workers of one epoch. Closed when it is retired and the last request on it has ended."""

    description: Description
    links: Sequence[WorkerLink]
    urls: Sequence[URL]
    _asking: int = field(default=0, init=False)
    _retired: bool = field(default=False, init=False)

    @classmethod
    def of(cls, connection: Connection, description: Description) -> Epoch:
        """Links that connect when they are first used."""
        links = [worker_link(connection, party, description.epoch) for party in range(3)]
        path = URL.build(path=f"/v2/models/{connection.name}/infer")
        return cls(description, links, [URL(link.address).join(path) for link in links])

    async def ask(self, request: Request) -> Words:
        """The answer's words, shape (rows, *output_shape). No deadline of its own.

        Raises:
            EpochOver: look for the workers again.
            ClientError: anything that trying again cannot help.
        """
        assert request.epoch == self.description.epoch
        self._asking += 1
        try:
            return join(await together(self._ask(link, request) for link in self.links), request.protocol)
        finally:
            self._asking -= 1
            if self._retired and not self._asking:
                await close(self.links)

    async def retire(self) -> None:
        """No request will be asked here any more."""
        self._retired = True
        if not self._asking:
            await close(self.links)

    async def _ask(self, link: WorkerLink, request: Request) -> tuple[Words, ...]:
        part = request.parts[link.party]
        most = largest_answer(request, self.description)
        resends, busy = iter(RESEND_AFTER_S), iter(BUSY_AFTER_S)
        while True:
            try:
                reply = await link.post(self.urls[link.party], part.body, part.headers, most)
            except aiohttp.ClientError as error:
                problem = permanent(link, error)
                if problem is not None:
                    raise problem from error
                wait, last = next(resends, None), EpochOver(link.party, connection_problem(error))
                if wait is None or is_other_epoch(error):
                    raise last from error
            else:
                if reply.status == 200:
                    return read_answer(link.party, reply, request, self.description)
                wait = _wait_if_busy(link.party, reply, busy)
            await asyncio.sleep(wait)


def _wait_if_busy(party: int, reply: Reply, waits: Iterator[float]) -> float:
    """How long to wait before the same is sent again; raises unless the worker is merely busy."""
    reason, message = read_error(reply.body)
    if reason is Reason.BUSY and (wait := next(waits, None)) is not None:
        return wait
    raise refusal(party, reply.status, reason, message)


def refusal(party: int, status: int, reason: Reason | None, message: str) -> ClientError | EpochOver:
    """What a worker's refusal means."""
    match reason:
        case Reason.QUOTA_REACHED:
            return QuotaReached(message)
        case Reason.NOT_READY | Reason.EPOCH_ENDED:
            return EpochOver(party, message)
        case Reason.EXPIRED:
            return EpochOver(party, message, request_gone=True)
    return RequestRefused(party, reason.value if reason else f"HTTP {status}", message)


def permanent(link: WorkerLink, error: aiohttp.ClientError) -> ClientError | None:
    """The error to raise if connecting or sending again cannot help; None if it can."""
    if isinstance(error, AnswerTooLong):
        return WrongAnswer(link.party, str(error))
    if isinstance(error, aiohttp.ClientConnectorCertificateError) and not is_other_epoch(error):
        cause = error.certificate_error
        text = (
            str(cause)
            if isinstance(cause, UnexpectedPeer)
            else "its certificate is not of this SecureModel's authority"
        )
        return WrongWorker(link.party, link.address, text)
    return None


def is_other_epoch(error: aiohttp.ClientError) -> bool:
    """Whether the connection was given up because the worker is in another epoch."""
    return isinstance(error, aiohttp.ClientConnectorCertificateError) and isinstance(
        error.certificate_error, OtherEpoch
    )


def connection_problem(error: aiohttp.ClientError) -> str:
    """A connection error in words, without addresses."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no answer"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, aiohttp.ServerDisconnectedError) or (
        isinstance(error, OSError) and error.errno in (errno.ECONNRESET, errno.EPIPE)
    ):
        return CLOSED
    if isinstance(error, aiohttp.ClientOSError) and error.errno and "SSL" not in (error.strerror or ""):
        return os.strerror(error.errno).lower()
    return f"the connection broke ({type(error).__name__})"
