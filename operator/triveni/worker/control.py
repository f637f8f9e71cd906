"""Control links: small messages about requests between workers 1, 2 and worker 0, on the event loop.

    1, 2 -> 0   arrived KEY ROWS, withdraw KEY, loaded, leaving REASON
    0 -> 1, 2   refused KEY REASON MESSAGE, withdrawn KEY, leaving REASON

The TLS socket is driven by the loop directly: a message costs one write, and nothing waits for anything.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from triveni.worker import frame

MAX_BACKLOG = 8 << 20
"""Bytes that a peer may leave unread before it counts as lost."""


class ControlLink:
    """The control link to one peer. `on_message` gets each message; `on_lost` is called once, with what happened."""

    def __init__(
        self,
        peer: int,
        sock: ssl.SSLSocket,
        on_message: Callable[[int, Any], None],
        on_lost: Callable[[int, str], None],
    ) -> None:
        self._peer = peer
        self._sock = sock
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader = frame.Reader()
        self._backlog = b""
        self._writing = False
        self._open = True
        self._loop = asyncio.get_running_loop()
        sock.settimeout(0)
        self._loop.add_reader(sock, self._read)
        self._loop.call_soon(self._read)  # TLS may have read something already that no event will announce

    def send(self, message: list[Any]) -> None:
        """Send a message; to a peer that is lost it goes nowhere."""
        if not self._open:
            return
        data = frame.encode(message)
        if self._backlog:
            self._backlog += data
            if len(self._backlog) > MAX_BACKLOG:
                self._lose("it does not read what it is told")
            return
        self._backlog = data
        self._write()

    def close(self) -> None:
        """End the link; nothing is reported any more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()

    def _read(self) -> None:
        try:
            while self._open:
                data = self._sock.recv(1 << 16)
                if not data:
                    self._lose("its control link ended")
                for message in self._reader.feed(data):
                    self._on_message(self._peer, message)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self._lose(error.strerror or type(error).__name__)
        except frame.InvalidFrame as error:
            self._lose(str(error))

    def _write(self) -> None:
        try:
            while self._backlog:
                self._backlog = self._backlog[self._sock.send(self._backlog) :]
            if self._writing:
                self._loop.remove_writer(self._sock)
                self._writing = False
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self._writing = True
            self._loop.add_writer(self._sock, self._write)
        except OSError as error:
            self._lose(error.strerror or type(error).__name__)

    def _lose(self, problem: str) -> None:
        if self._open:
            self.close()
            self._on_lost(self._peer, problem)
