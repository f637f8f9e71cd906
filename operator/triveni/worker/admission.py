"""The requests whose shares this worker holds, and the answers that it keeps for a retry. Pure, bounded.

A request is known by its key, `client/id`, so two clients can never meet under one id. The same key with the same body
is the same request: it joins the one that waits, or gets the answer that was kept. The same key with another body is
refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from triveni.api.inference import Reason
from triveni.worker.order import InvalidOrder
from triveni.worker.quota import Count
from triveni.worker.refusal import QUOTA_REACHED, Refused

Words = NDArray[np.int64]

MAX_REQUESTS = 1024
"""Requests that may wait at once."""

MAX_BYTES = 64 << 20
"""Bytes of shares that may wait at once, unless a single request of the model is larger."""

MAX_ANSWERS = 8192
MAX_ANSWER_BYTES = 8 << 20
"""How many answers, and bytes of answers, are kept for retries; the oldest go first."""

Waiter = TypeVar("Waiter")


class Stage(Enum):
    """Where a request is: it waits to be ordered, its clients have gone, or it is being run."""

    WAITING = "waiting"
    LEAVING = "leaving"
    ORDERED = "ordered"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Answer:
    """This worker's components of the answer, (rows, *output shape) each."""

    components: tuple[Words, ...]

    @property
    def nbytes(self) -> int:
        """Size of all."""
        return sum(words.nbytes for words in self.components)


@dataclass(slots=True, eq=False, repr=False)
class Request(Generic[Waiter]):
    """This worker's components of a request's input, (rows, *input shape) each, and who waits for the answer."""

    key: str
    rows: int
    digest: bytes
    shares: tuple[Words, ...]
    waiters: list[Waiter] = field(default_factory=list)
    stage: Stage = Stage.WAITING

    @property
    def nbytes(self) -> int:
        """Size of all components."""
        return sum(words.nbytes for words in self.shares)

    def wipe(self) -> None:
        """Overwrite the shares."""
        for words in self.shares:
            words.fill(0)


@dataclass(slots=True, eq=False, repr=False)
class _Kept:
    digest: bytes
    answer: Answer


class Admission(Generic[Waiter]):
    """Everything that this worker holds for clients. Not for two threads at once."""

    def __init__(self, max_requests: int = MAX_REQUESTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests: dict[str, Request[Waiter]] = {}
        self._bytes = 0
        self._arriving: list[int] = []
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self._requests)

    def require_room(self, nbytes: int) -> None:
        """Refused (Busy) if another request of `nbytes` would be too much, with those that are on their way."""
        requests = len(self._requests) + len(self._arriving)
        held = self._bytes + sum(self._arriving)
        if requests >= self._max_requests or held + nbytes > max(self._max_bytes, nbytes):
            raise Refused(Reason.BUSY, "too many requests are waiting; ask again in a moment")

    def expect(self, nbytes: int) -> None:
        """Keep room for a request whose bytes are on their way, until `received`; Refused (Busy) if there is none."""
        self.require_room(nbytes)
        self._arriving.append(nbytes)

    def received(self, nbytes: int) -> None:
        """The bytes of a request that was expected are there, or will not come."""
        self._arriving.remove(nbytes)

    def find(self, key: str, digest: bytes) -> Request[Waiter] | Answer | None:
        """What is there of this request already; Refused (RequestIdReused) if its id was used for something else."""
        request = self._requests.get(key)
        known = request or self._kept.get(key)
        if known is None:
            return None
        if known.digest != digest:
            raise Refused(
                Reason.REQUEST_ID_REUSED, "this id was used for another request; give each request an id of its own"
            )
        return request or self._kept[key].answer

    def add(self, request: Request[Waiter], count: Count) -> None:
        """Keep a request that is not there yet; Refused (QuotaReached, Busy) if that cannot be."""
        if not count.can_ever_answer(request.rows):
            raise Refused(Reason.QUOTA_REACHED, QUOTA_REACHED)
        self.require_room(request.nbytes)
        self._requests[request.key] = request
        self._bytes += request.nbytes

    def leave(self, request: Request[Waiter], waiter: Waiter) -> bool:
        """A client does not wait any more; whether nobody does and the shares should go."""
        if waiter in request.waiters:
            request.waiters.remove(waiter)
        if request.waiters or request.stage is not Stage.WAITING or self._requests.get(request.key) is not request:
            return False
        request.stage = Stage.LEAVING
        return True

    def order(self, keys: Sequence[str], rows: int) -> list[Request[Waiter]]:
        """The requests that an order names, now being run; InvalidOrder if one is not here, or the rows are others."""
        requests = []
        for key in keys:
            request = self._requests.get(key)
            if request is None or request.stage is Stage.ORDERED:
                raise InvalidOrder("names a request whose shares are not here")
            requests.append(request)
        if sum(request.rows for request in requests) != rows:
            raise InvalidOrder(f"has {rows} rows, but its requests have {sum(request.rows for request in requests)}")
        for request in requests:
            request.stage = Stage.ORDERED
        return requests

    def answer(self, request: Request[Waiter], answer: Answer) -> list[Waiter]:
        """A request was answered: keep the answer, overwrite the shares; who waits for it."""
        self._forget(request)
        self._kept[request.key] = _Kept(request.digest, answer)
        self._kept_bytes += answer.nbytes
        while len(self._kept) > MAX_ANSWERS or (self._kept_bytes > MAX_ANSWER_BYTES and len(self._kept) > 1):
            self._kept_bytes -= self._kept.popitem(last=False)[1].answer.nbytes
        return request.waiters

    def refuse(self, key: str) -> Request[Waiter] | None:
        """Let go of a request that will not run, and overwrite its shares; None if it is not here or is being run."""
        request = self._requests.get(key)
        if request is None or request.stage is Stage.ORDERED:
            return None
        self._forget(request)
        return request

    def refuse_waiting(self) -> list[Request[Waiter]]:
        """Let go of every request that is not being run."""
        keys = [key for key, request in self._requests.items() if request.stage is not Stage.ORDERED]
        return [request for key in keys if (request := self.refuse(key)) is not None]

    def withdrawn(self, key: str) -> Request[Waiter] | None:
        """Worker 0 does not count on the request any more: let it go, or return it if its client came back."""
        request = self._requests.get(key)
        if request is None or request.stage is not Stage.LEAVING:
            return None
        if request.waiters:
            request.stage = Stage.WAITING
            return request
        self._forget(request)
        return None

    def clear(self) -> list[Waiter]:
        """Let go of everything, the answers too; who still waits."""
        waiters = [waiter for request in self._requests.values() for waiter in request.waiters]
        for request in list(self._requests.values()):
            self._forget(request)
        for kept in self._kept.values():
            for words in kept.answer.components:
                words.fill(0)
        self._kept.clear()
        self._kept_bytes = 0
        return waiters

    def _forget(self, request: Request[Waiter]) -> None:
        del self._requests[request.key]
        self._bytes -= request.nbytes
        request.wipe()
