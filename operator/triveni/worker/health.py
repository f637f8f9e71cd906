"""What kubelet asks, in plain HTTP: whether the worker lives, whether it serves, and its two public counts.

    GET /healthz   200 while the worker can go on, 503 once its engine is stuck
    GET /readyz    200 while it serves, 503 otherwise; the body is the state
    GET /counts    epoch, party, state, admitted, answered

Whoever can reach the pod may ask, so there is nothing else here: no certificate, no share, no log, and no way to make
the worker do or keep anything. One short request for each connection, few connections, little time.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from triveni.worker.state import State

REQUEST_BYTES = 4096
REQUEST_S = 5.0
CONNECTIONS = 32

COUNTS = ("epoch", "party", "state", "admitted", "answered")

STUCK_SLACK_S = 10.0
"""How much longer than the peers' patience, `run_timeout_s`, a run may make no progress."""


class Host(Protocol):
    """What is asked about."""

    @property
    def state(self) -> State:
        """Where the worker is in its life."""

    def status(self) -> Mapping[str, Any]:
        """The live counts, and more that is not told here."""

    def run_progress(self) -> int | None:
        """A number that grows while a run makes progress; None if nothing runs."""


@dataclass
class Progress:
    """Notices that a run stands still, from what it is told now and then. `patience_s` is how long that may last."""

    patience_s: float
    _last: int | None = None
    _since: float = 0.0

    def is_stuck(self, progress: int | None, now: float) -> bool:
        """Whether the run that was seen before is the same, as far as it was, for longer than `patience_s`."""
        if progress is None or progress != self._last:
            self._last, self._since = progress, now
        return progress is not None and now - self._since > self.patience_s


class Health:
    """The listener of one worker, from its start to its end."""

    def __init__(self, host: Host, run_timeout_s: float) -> None:
        self._host = host
        self._progress = Progress(run_timeout_s + STUCK_SLACK_S)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, listener: socket.socket) -> None:
        """Answer on a bound socket until `stop`."""
        self._server = await asyncio.start_server(self._handle, sock=listener, limit=REQUEST_BYTES)

    def stop(self) -> None:
        """Close everything at once."""
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= CONNECTIONS:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            async with asyncio.timeout(REQUEST_S):
                writer.write(self._answer(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
        except asyncio.LimitOverrunError:
            writer.write(_response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            pass  # it asked nothing, or does not want the answer
        finally:
            self._open.discard(writer)
            writer.close()

    def _answer(self, request: bytes) -> bytes:
        match request.split(b"\r\n", 1)[0].split(b" "):
            case [method, target, b"HTTP/1.1" | b"HTTP/1.0"]:
                path = target.partition(b"?")[0]
            case _:
                return _response(HTTPStatus.BAD_REQUEST)
        if path not in (b"/healthz", b"/readyz", b"/counts"):
            return _response(HTTPStatus.NOT_FOUND)
        if method != b"GET":
            return _response(HTTPStatus.METHOD_NOT_ALLOWED)
        if path == b"/counts":
            status = self._host.status()
            return _response(HTTPStatus.OK, json.dumps({name: status[name] for name in COUNTS}), "application/json")
        if path == b"/readyz":
            state = self._host.state
            return _response(HTTPStatus.OK if state is State.SERVING else HTTPStatus.SERVICE_UNAVAILABLE, state)
        if self._progress.is_stuck(self._host.run_progress(), asyncio.get_running_loop().time()):
            return _response(HTTPStatus.SERVICE_UNAVAILABLE, "the engine is stuck")
        return _response(HTTPStatus.OK, "ok")


def _response(status: HTTPStatus, body: str = "", kind: str = "text/plain") -> bytes:
    content = f"{body or status.phrase}\n".encode()
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(content)}",
        "Connection: close",
        *(["Allow: GET"] if status is HTTPStatus.METHOD_NOT_ALLOWED else []),
    ]
    return "\r\n".join([*head, "", ""]).encode() + content
