"""Which SecureModels are to be looked at, and when: each at most once at a time, however often it is asked for.

The semantics are those of client-go's work queue: what is added while it is being worked on is worked on once more
afterwards; what fails comes again after a pause that doubles, up to a bound.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 60.0


@dataclass(frozen=True, order=True, slots=True)
class Key:
    """A SecureModel by its namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(slots=True)
class _Entry:
    due: float = 0.0
    working_since: float | None = None
    again_at: float | None = None
    failures: int = 0
    ticket: int = field(default=-1)


class WorkQueue:
    """The queue. All methods are to be called in one event loop; `clock` is in seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[Key, _Entry] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._tickets = count()
        self._news = asyncio.Event()

    def add(self, key: Key, after: float = 0.0) -> None:
        """Have `key` looked at in `after` seconds at the latest."""
        due = self._clock() + after
        entry = self._entries.setdefault(key, _Entry())
        if entry.working_since is not None:
            entry.again_at = due if entry.again_at is None else min(entry.again_at, due)
        elif entry.ticket < 0 or due < entry.due:
            self._schedule(key, entry, due)

    async def get(self) -> Key:
        """The next key that is due; it is being worked on until `done`."""
        while True:
            self._news.clear()
            now = self._clock()
            while self._heap:
                due, ticket, key = self._heap[0]
                entry = self._entries.get(key)
                if entry is None or entry.ticket != ticket:
                    heapq.heappop(self._heap)  # superseded
                    continue
                if due > now:
                    break
                heapq.heappop(self._heap)
                entry.ticket, entry.working_since = -1, now
                return key
            pause = self._heap[0][0] - now if self._heap else None
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                continue

    def done(self, key: Key, again: float | None = None) -> None:
        """The work on `key` went well; look again in `again` seconds, None for when it is added."""
        self._finish(key, again, failures=0)

    def failed(self, key: Key) -> float:
        """The work on `key` failed; it comes again after the pause that is returned, in seconds."""
        failures = self._entries[key].failures + 1
        pause = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20), LONGEST_PAUSE_S)
        self._entries[key].again_at = None  # whatever asked for it has to wait as well
        self._finish(key, pause, failures)
        return pause

    def __len__(self) -> int:
        now = self._clock()
        return sum(entry.ticket >= 0 and entry.due <= now for entry in self._entries.values())

    def oldest(self) -> float:
        """Seconds since which a key has been due without being taken, or being worked on; 0 if there is none."""
        now = self._clock()
        since = [
            now - (entry.due if entry.working_since is None else entry.working_since)
            for entry in self._entries.values()
            if entry.ticket >= 0 or entry.working_since is not None
        ]
        return max(0.0, *since) if since else 0.0

    def _finish(self, key: Key, again: float | None, failures: int) -> None:
        entry = self._entries[key]
        asked, now = entry.again_at, self._clock()
        entry.working_since, entry.again_at, entry.failures = None, None, failures
        dues = [due for due in (asked, None if again is None else now + again) if due is not None]
        if dues:
            self._schedule(key, entry, min(dues))
        else:
            del self._entries[key]

    def _schedule(self, key: Key, entry: _Entry, due: float) -> None:
        entry.due, entry.ticket = due, next(self._tickets)
        heapq.heappush(self._heap, (due, entry.ticket, key))
        self._news.set()
