"""Accepts connections, and lets strangers that never finish a handshake take no place of those who do.

Whoever has shown no certificate yet has an address that says nothing (behind a Service all have the same), so strangers
are not counted by who they are: only so many handshakes are unfinished at a time, and where there is no room the oldest
gives way. An honest one takes a few round trips and is through long before it is the oldest.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

RETRY_S = 0.05

Shake = Callable[[socket.socket, str], Coroutine[Any, Any, None]]
"""Shakes hands over a connection that came from an address, in a time of its own."""

Refuse = Callable[[str, str], None]
"""Told of an address, and why its connection was ended."""


class Handshakes:
    """Those that are not finished, the oldest first."""

    def __init__(self, most: int, refuse: Refuse) -> None:
        self._most, self._refuse = most, refuse
        self._unfinished: dict[asyncio.Task[None], str] = {}

    async def accept(self, listener: socket.socket, shake: Shake) -> NoReturn:
        """Accept until cancelled; handshakes that are not finished then end as well."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        try:
            while True:
                try:
                    sock, address = await loop.sock_accept(listener)
                except OSError:  # out of descriptors, or the connection is gone already
                    self._make_room()
                    await asyncio.sleep(RETRY_S)
                    continue
                if len(self._unfinished) >= self._most:
                    self._make_room()
                self._begin(shake(sock, str(address[0])), str(address[0]))
                await asyncio.sleep(0)  # where many wait to be accepted, those that are in go on as well
        finally:
            for handshake in self._unfinished:
                handshake.cancel()

    def _begin(self, work: Coroutine[Any, Any, None], address: str) -> None:
        handshake = asyncio.create_task(work)
        self._unfinished[handshake] = address
        handshake.add_done_callback(lambda done: self._unfinished.pop(done, None))

    def _make_room(self) -> None:
        for oldest, address in self._unfinished.items():
            del self._unfinished[oldest]
            oldest.cancel()
            self._refuse(address, f"{self._most} handshakes were unfinished, this one for the longest time")
            return
