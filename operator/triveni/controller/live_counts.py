"""How many requests the workers have answered so far, for people who look. Nothing is decided by it.

The workers' own reports, at their end, are what is charged. So one worker of an epoch is asked, now and then, on its
health port, where nothing but counts is to be had; and who cannot be asked keeps its last count.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from triveni.controller.logs import Log
from triveni.controller.objects.ports import HEALTH, host_port
from triveni.controller.workqueue import Key

EVERY_S = 5.0
ASK_S = 2.0
MOST_BYTES = 4096
AT_ONCE = 16

log = Log(__name__)


@dataclass(slots=True)
class _Epoch:
    number: int
    address: str
    answered: int = 0


class LiveCounts:
    """Asks the workers of epochs that serve; `changed` is told whose count has changed."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self._changed = changed
        self._epochs: dict[Key, _Epoch] = {}

    def follow(self, key: Key, epoch: int, address: str) -> int:
        """This epoch serves, with a worker at `address`: ask it from now on. What is known to be answered."""
        known = self._epochs.get(key)
        if known is None or (known.number, known.address) != (epoch, address):
            known = self._epochs[key] = _Epoch(epoch, address)
        return known.answered

    def drop(self, key: Key) -> None:
        """It does not serve any more."""
        self._epochs.pop(key, None)

    async def run(self) -> None:
        """Ask until cancelled."""
        limit = asyncio.Semaphore(AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                await asyncio.sleep(EVERY_S)
                await asyncio.gather(*(self._ask(session, limit, key, e) for key, e in list(self._epochs.items())))

    async def _ask(self, session: aiohttp.ClientSession, limit: asyncio.Semaphore, key: Key, epoch: _Epoch) -> None:
        url = f"http://{host_port(epoch.address, HEALTH)}/counts"
        try:
            async with limit, session.get(url, allow_redirects=False) as response:
                counts = json.loads(await response.content.read(MOST_BYTES))
            number, answered = counts["epoch"], counts["answered"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError, RecursionError):
            return  # it ends, or the network does not let us: the next time, or never
        if number == epoch.number and type(answered) is int and answered > epoch.answered:
            epoch.answered = answered
            if self._epochs.get(key) is epoch:
                self._changed(key)
