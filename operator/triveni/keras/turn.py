"""Whose turn it is on a cluster: one `serve` at a time, which other threads can end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from triveni.keras.background import loop
from triveni.keras.errors import Occupied


class Turn:
    """One at a time, and a way for other threads to end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop: asyncio.Event | None = None

    @property
    def taken(self) -> bool:
        """Whether somebody has the turn."""
        return self._lock.locked()

    @contextmanager
    def take(self, doing: str) -> Iterator[asyncio.Event]:
        """Take the turn; the event, of the background loop, asks to give it back. Occupied if it is taken."""
        if not self._lock.acquire(blocking=False):
            raise Occupied(doing)
        self._stop = asyncio.Event()
        try:
            yield self._stop
        finally:
            self._stop = None
            self._lock.release()

    def end(self) -> None:
        """Ask whoever has the turn to end, and wait for that."""
        if (stop := self._stop) is not None:
            loop().call_soon_threadsafe(stop.set)
            with self._lock:
                pass
