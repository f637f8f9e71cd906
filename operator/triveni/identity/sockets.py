"""The sockets of one link, so that closing the link closes them before it returns.

A TLS connection that is given up in the middle of a request would otherwise linger until its peer says goodbye, perhaps
beyond the end of the event loop.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

CLOSE_S = 1.0


class Sockets:
    """Makes sockets (aiohttp's `socket_factory`) and remembers those that are open."""

    def __init__(self) -> None:
        self._made: set[socket.socket] = set()

    def __call__(self, address: tuple[Any, ...]) -> socket.socket:
        """A socket for an address as `socket.getaddrinfo` describes it."""
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        self._made = {*self._open(), made}
        return made

    def _open(self) -> set[socket.socket]:
        return {one for one in self._made if one.fileno() != -1}

    async def close(self) -> None:
        """Shut down what is open, and wait until the event loop has let go of it; never for long."""
        for one in self._open():
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        clock = asyncio.get_running_loop().time
        until = clock() + CLOSE_S
        while self._open():
            if clock() > until:
                return
            await asyncio.sleep(0.001)
