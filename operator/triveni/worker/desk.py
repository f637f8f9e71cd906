"""Where requests wait: joins clients (on the event loop), the other workers' announcements and the engine thread.

Thin: what is decided is in `admission`, `pairing` and `quota`, which the two threads use under one lock. The engine
takes batches and hands back answers; everything else happens on the event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from triveni.api.inference import Reason
from triveni.worker.admission import MAX_BYTES, MAX_REQUESTS, Admission, Answer, Request, Words
from triveni.worker.frame import InvalidFrame
from triveni.worker.pairing import Dropped, InvalidArrival, Pairing
from triveni.worker.quota import Count
from triveni.worker.refusal import QUOTA_REACHED, Refused

LEADER = 0

MAX_KEY = 192
"""Characters of a request's key: the client's name, of at most 63, and the id that it chose, of at most 128."""

Waiter = asyncio.Future[Answer]

SendControl = Callable[[int, list[Any]], None]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Work:
    """Requests that run together, taken out of the desk. `complete_at` is in seconds of `time.monotonic`."""

    requests: Sequence[Request[Waiter]]
    keys: tuple[str, ...]
    rows: int
    complete_at: float

    def inputs(self) -> tuple[Words, ...]:
        """This worker's components of all rows; not copied if it is one request."""
        if len(self.requests) == 1:
            return self.requests[0].shares
        components = zip(*(request.shares for request in self.requests), strict=True)
        return tuple(np.concatenate(parts) for parts in components)


class Desk:
    """The desk of one worker. `wake` is called, on the event loop, when there is something new to run."""

    def __init__(self, party: int, grant: int | None, request_timeout_s: float, row_bytes: int, max_rows: int) -> None:
        self._party = party
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._admission: Admission[Waiter] = Admission(MAX_REQUESTS, max(MAX_BYTES, 4 * max_rows * row_bytes))
        self._pairing = Pairing(request_timeout_s, MAX_REQUESTS) if party == LEADER else None
        self._closed: Refused | None = None
        self._loaded: set[int] = set()
        self.count = Count(grant)
        self.send_control: SendControl = lambda _party, _message: None
        self.wake: Callable[[], None] = lambda: None

    # --- for the front, on the event loop ---

    @property
    def waiting(self) -> int:
        """Number of requests whose answer is not there yet."""
        return len(self._admission)

    @contextmanager
    def expecting(self, nbytes: int) -> Iterator[None]:
        """Room for the bytes of a request while they come; Refused if there is none."""
        with self._lock:
            self._admission.expect(nbytes)
        try:
            yield
        finally:
            with self._lock:
                self._admission.received(nbytes)

    async def answer(self, key: str, rows: int, digest: bytes, shares: tuple[Words, ...]) -> Answer:
        """This worker's part of the answer to a request, once all three workers hold their shares and it was run.

        If the caller stops waiting (is cancelled), the request is dropped unless it is being run already.

        Raises:
            Refused: it will not be answered.
        """
        waiter: Waiter = self._loop.create_future()
        with self._lock:
            found = self._admission.find(key, digest)
            if isinstance(found, Answer):
                return found
            if found is None and self._closed is not None:
                raise self._closed
            request = found or Request(key, rows, digest, shares)
            request.waiters.append(waiter)
            if found is None:
                self._admission.add(request, self.count)
        if found is None:
            self._announce(request)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._leave(request, waiter)
            raise

    def close(self, refusal: Refused) -> None:
        """Refuse everything that waits or comes from now on, but what is being run."""
        self._closed = refusal
        with self._lock:
            refused = self._admission.refuse_waiting()
            if self._pairing is not None:
                self._pairing.drop_all()
        for request in refused:
            _refuse(request, refusal)

    def erase(self) -> None:
        """Forget everything, kept answers too."""
        with self._lock:
            waiters = self._admission.clear()
        for waiter in waiters:
            _set_exception(waiter, self._closed or Refused(Reason.EPOCH_ENDED, "the epoch of this worker has ended"))

    # --- for the control links, on the event loop ---

    def on_control(self, peer: int, message: Any) -> None:
        """A peer's message about requests; InvalidFrame if it is none that this worker can get."""
        match message:
            case ["arrived", str(key), int(rows)] if self._pairing is not None and type(rows) is int and rows > 0:
                if len(key) > MAX_KEY:
                    raise InvalidFrame(f"has a key of {len(key)} characters, at most {MAX_KEY} are possible")
                self._arrive(self._pairing, peer, key, rows)
            case ["withdraw", str(key)] if self._pairing is not None:
                self._withdraw(self._pairing, peer, key)
            case ["loaded"] if self._pairing is not None:
                self.set_loaded(peer)
            case ["refused", str(key), str(reason), str(text)] if self._pairing is None and reason in set(Reason):
                self._drop(key, Refused(Reason(reason), text))
            case ["withdrawn", str(key)] if self._pairing is None:
                self._withdrawn(key)
            case _:
                raise InvalidFrame("is not one that it may send")

    def set_loaded(self, party: int) -> None:
        """A worker holds its weights; once all do, worker 0 may give orders."""
        self._loaded.add(party)
        if self._party != LEADER:
            self.send_control(LEADER, ["loaded"])
        self.wake()

    def expire(self) -> None:
        """Refuse what waits for shares that do not come; to be called from time to time at worker 0."""
        if self._pairing is None:
            return
        with self._lock:
            dropped = self._pairing.expire(time.monotonic())
        self._refuse(dropped, Reason.EXPIRED, "the shares of this request did not reach all three workers in time")

    # --- for the engine, on its thread ---

    @property
    def has_work(self) -> bool:
        """At worker 0: whether there is something to run now."""
        if self._pairing is None or not self.all_loaded:
            return False
        with self._lock:
            return self._pairing.has_work(self.count)

    @property
    def all_loaded(self) -> bool:
        """Whether all workers hold their weights (known at worker 0 only)."""
        return len(self._loaded) == 3

    def take_batch(self, max_rows: int) -> Work | None:
        """At worker 0: the requests to run next, admitted; None if none is complete."""
        pairing = self._pairing
        if pairing is None:
            return None
        with self._lock:
            batch = pairing.take(max_rows, self.count)
            if batch is None:
                return None
            requests = self._admission.order(batch.keys, batch.rows)
            self.count = self.count.admit(batch.rows)
        return Work(requests, batch.keys, batch.rows, batch.complete_at)

    def take_ordered(self, keys: tuple[str, ...], rows: int) -> Work:
        """At workers 1 and 2: the requests of an order, admitted.

        Raises:
            OrderBeyondGrant, InvalidOrder: this worker cannot follow the order.
        """
        now = time.monotonic()
        with self._lock:
            count = self.count.admit(rows)
            requests = self._admission.order(keys, rows)
            self.count = count
        return Work(requests, keys, rows, now)

    def release(self, work: Work, components: Sequence[Words]) -> None:
        """Count the rows of a run as answered, then let the answers out."""
        answers, start = [], 0
        for request in work.requests:
            rows = slice(start, start + request.rows)
            answers.append((request, Answer(tuple(words[rows].copy() for words in components))))
            start = rows.stop
        with self._lock:
            self.count = self.count.answer(work.rows)
        self._loop.call_soon_threadsafe(self._deliver, answers)

    # --- inside ---

    def _deliver(self, answers: Sequence[tuple[Request[Waiter], Answer]]) -> None:
        for request, answer in answers:
            with self._lock:
                waiters = self._admission.answer(request, answer)
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(answer)
        if self._pairing is not None and self.count.grant is not None:
            with self._lock:
                dropped = self._pairing.drop_beyond(self.count)
            self._refuse(dropped, Reason.QUOTA_REACHED, QUOTA_REACHED)

    def _announce(self, request: Request[Waiter]) -> None:
        if self._pairing is None:
            self.send_control(LEADER, ["arrived", request.key, request.rows])
        else:
            self._arrive(self._pairing, self._party, request.key, request.rows)

    def _arrive(self, pairing: Pairing, party: int, key: str, rows: int) -> None:
        with self._lock:
            try:
                dropped = pairing.arrive(party, key, rows, time.monotonic())
                beyond = pairing.drop_beyond(self.count) if not self.count.can_ever_answer(rows) else []
            except InvalidArrival as error:
                raise InvalidFrame(error.problem) from None
            has_work = pairing.has_work(self.count)
        if dropped is not None:
            self._refuse([dropped], Reason.WRONG_SHAPE, "the three workers were given different numbers of rows")
        self._refuse(beyond, Reason.QUOTA_REACHED, QUOTA_REACHED)
        if has_work:
            self.wake()

    def _leave(self, request: Request[Waiter], waiter: Waiter) -> None:
        with self._lock:
            nobody_waits = self._admission.leave(request, waiter)
        if nobody_waits and self._closed is None:
            if self._pairing is None:
                self.send_control(LEADER, ["withdraw", request.key])
            else:
                self._withdraw(self._pairing, self._party, request.key)

    def _withdraw(self, pairing: Pairing, party: int, key: str) -> None:
        with self._lock:
            may_go = pairing.withdraw(party, key)
        if may_go and party == self._party:
            self._withdrawn(key)
        elif may_go:
            self.send_control(party, ["withdrawn", key])

    def _withdrawn(self, key: str) -> None:
        with self._lock:
            request = self._admission.withdrawn(key)
        if request is not None:  # its client came back in the meantime
            self._announce(request)

    def _refuse(self, dropped: Sequence[Dropped], reason: Reason, message: str) -> None:
        for request in dropped:
            for party in request.holders - {self._party}:
                self.send_control(party, ["refused", request.key, reason.value, message])
            if self._party in request.holders:
                self._drop(request.key, Refused(reason, message))

    def _drop(self, key: str, refusal: Refused) -> None:
        with self._lock:
            request = self._admission.refuse(key)
        if request is not None:
            _refuse(request, refusal)


def _refuse(request: Request[Waiter], refusal: Refused) -> None:
    for waiter in request.waiters:
        _set_exception(waiter, refusal)


def _set_exception(waiter: Waiter, refusal: Refused) -> None:
    if not waiter.done():
        waiter.set_exception(refusal)
