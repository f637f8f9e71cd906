"""The three workers' own word on how they are, asked for again and again while an epoch lasts.

For progress and live counts only: what an epoch is charged is decided by the final reports.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp

from triveni.identity.credentials import Credentials
from triveni.identity.tls import client_context

INTERVAL = 0.05
SERVING_INTERVAL = 0.2
"""Seconds between two questions to a worker; fewer while it serves, which they would slow down."""

TIMEOUT = aiohttp.ClientTimeout(total=5)


class Watch:
    """Asks workers at `addresses` (HOST:PORT); `status[p]` is the newest answer of worker p, None before the first."""

    def __init__(self, epoch: int, addresses: Sequence[str], credentials: Credentials) -> None:
        self.status: list[Mapping[str, Any] | None] = [None] * len(addresses)
        self.news = asyncio.Event()
        self._epoch = epoch
        self._urls = [f"https://{address}/triveni/v1/status" for address in addresses]
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=client_context(credentials)), timeout=TIMEOUT
        )
        self._tasks: list[asyncio.Task[None]] = []

    def states(self) -> tuple[str, ...]:
        """The state of each worker; empty before its first answer."""
        return tuple(str((status or {}).get("state", "")) for status in self.status)

    def answered(self, party: int) -> int:
        """Answer shares that a worker is known to have released."""
        value = (self.status[party] or {}).get("answered")
        return value if type(value) is int else 0

    def answered_by_all(self) -> int:
        """Requests that all three workers are known to have answered."""
        return min(map(self.answered, range(len(self.status))))

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._ask(party)) for party in range(len(self._urls))]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    async def _ask(self, party: int) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError, OSError):
                async with self._session.get(self._urls[party]) as response:
                    status = await response.json()
                if isinstance(status, dict) and (status.get("epoch"), status.get("party")) == (self._epoch, party):
                    if status != self.status[party]:
                        self.news.set()
                    self.status[party] = status
            await asyncio.sleep(SERVING_INTERVAL if self.states()[party] == "Serving" else INTERVAL)
