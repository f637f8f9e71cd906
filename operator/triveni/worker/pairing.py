"""Worker 0's table of which worker holds the shares of which request: a request may run once all three do.

The table is exact: an entry of a worker leaves it only by an order or by a refusal that is sent to that worker, and
the worker lets go of the shares only on one of the two. So an order never names shares that a worker does not hold,
however messages cross. Pure: time is a parameter. Keys are `client/id`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from triveni.identity.names import PARTIES
from triveni.worker.quota import Count

ALL = frozenset(PARTIES)


@dataclass(eq=False)
class InvalidArrival(Exception):
    """A worker announced what it cannot hold."""

    party: int
    problem: str

    def __str__(self) -> str:
        return f"worker {self.party} {self.problem}"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A request that will not run, and the workers that hold shares of it and have to be told."""

    key: str
    rows: int
    holders: frozenset[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests to run together. `complete_at` is when the last of their shares arrived, in the caller's clock."""

    keys: tuple[str, ...]
    rows: int
    complete_at: float


@dataclass(slots=True)
class _Request:
    rows: int
    since: float
    holders: set[int] = field(default_factory=set)
    complete_at: float = 0.0


class Pairing:
    """Requests of which some or all shares have arrived and that have not been ordered; at most `limit` a worker."""

    def __init__(self, timeout_s: float, limit: int) -> None:
        self._timeout_s = timeout_s
        self._limit = limit
        self._held = dict.fromkeys(PARTIES, 0)
        self._incomplete: dict[str, _Request] = {}
        self._complete: dict[str, _Request] = {}

    def __len__(self) -> int:
        return len(self._incomplete) + len(self._complete)

    def has_work(self, count: Count) -> bool:
        """Whether `take` would find something, for whatever number of rows fits."""
        return any(count.can_admit(request.rows) for request in self._complete.values())

    def arrive(self, party: int, key: str, rows: int, now: float) -> Dropped | None:
        """Worker `party` holds its shares of `key`, `rows` rows.

        Returns the request as dropped if the workers were given different numbers of rows.

        Raises:
            InvalidArrival: the worker announced it before, or announced more than it may hold.
        """
        request = self._incomplete.get(key)
        if key in self._complete or (request is not None and party in request.holders):
            raise InvalidArrival(party, "announced a request twice")
        if self._held[party] >= self._limit:
            raise InvalidArrival(party, f"announced more than {self._limit} requests")
        if request is None:
            request = self._incomplete[key] = _Request(rows, now)
        request.holders.add(party)
        self._held[party] += 1
        if request.rows != rows:
            return self._drop(key)
        if len(request.holders) == len(ALL):
            request.complete_at = now
            self._complete[key] = self._incomplete.pop(key)
        return None

    def withdraw(self, party: int, key: str) -> bool:
        """Worker `party` wants to let go of its shares of `key`; whether it may, or it has been ordered or dropped."""
        request = self._complete.pop(key, None) or self._incomplete.get(key)
        if request is None or party not in request.holders:
            return False
        request.holders.discard(party)
        self._held[party] -= 1
        if request.holders:
            self._incomplete[key] = request
        else:
            self._incomplete.pop(key, None)
        return True

    def expire(self, now: float) -> list[Dropped]:
        """Drop the requests whose first share arrived too long ago while others never came."""
        late = [key for key, request in self._incomplete.items() if now - request.since >= self._timeout_s]
        return [self._drop(key) for key in late]

    def drop_beyond(self, count: Count) -> list[Dropped]:
        """Drop the requests that have more rows than can still be answered."""
        return [self._drop(key) for key, rows in self._rows() if not count.can_ever_answer(rows)]

    def drop_all(self) -> list[Dropped]:
        """Drop every request."""
        return [self._drop(key) for key, _ in self._rows()]

    def take(self, max_rows: int, count: Count) -> Batch | None:
        """The complete requests that run next, oldest first, and no longer in the table; None if there are none.

        As many as fit into `max_rows` rows without passing one over. A request that the quota does not allow now waits.
        """
        keys: list[str] = []
        total, complete_at = 0, 0.0
        for key, request in self._complete.items():
            if not count.can_admit(total + request.rows):
                continue
            if total + request.rows > max_rows:
                break
            keys.append(key)
            total += request.rows
            complete_at = max(complete_at, request.complete_at)
        if not keys:
            return None
        for key in keys:
            self._let_go(self._complete.pop(key).holders)
        return Batch(tuple(keys), total, complete_at)

    def _rows(self) -> list[tuple[str, int]]:
        return [(key, request.rows) for table in (self._incomplete, self._complete) for key, request in table.items()]

    def _drop(self, key: str) -> Dropped:
        request = self._incomplete.pop(key, None) or self._complete.pop(key)
        self._let_go(request.holders)
        return Dropped(key, request.rows, frozenset(request.holders))

    def _let_go(self, holders: Iterable[int]) -> None:
        for party in holders:
            self._held[party] -= 1
