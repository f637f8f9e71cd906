"""The time that one call may take, of which every wait of it is a part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Deadline:
    """`seconds` from now, in the running loop's time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = asyncio.get_running_loop().time() + seconds

    @asynccontextmanager
    async def or_raise(self, error: Exception) -> AsyncIterator[None]:
        """Give up what is inside at the deadline, and raise `error` instead."""
        scope = asyncio.timeout_at(self._at)
        try:
            async with scope:
                yield
        except TimeoutError as timeout:
            if not scope.expired():
                raise
            raise error from timeout
