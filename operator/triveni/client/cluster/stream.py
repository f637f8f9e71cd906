"""One TCP connection to a port of a pod, over a websocket: the channels of Kubernetes's port-forward.

Each message begins with the number of its channel, 0 for data and 1 for errors; the first message on a channel holds
the port. There is no half-close: when either side is done, the websocket ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

SUBPROTOCOL = "v4.channel.k8s.io"

DATA, ERROR = 0, 1

PORT_BYTES = 2


@dataclass(eq=False)
class PodGone(Exception):
    """Nobody answers in the pod (any more); `problem` is empty where there is none that runs."""

    problem: str = ""

    def __str__(self) -> str:
        return self.problem or "no pod runs"


class PodStream:
    """Bytes to and from a pod."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._begun: set[int] = set()

    async def send(self, data: bytes) -> None:
        """Send to the pod; PodGone if that is over."""
        try:
            await self._socket.send_bytes(bytes([DATA]) + data)
        except (aiohttp.ClientError, OSError) as error:
            raise PodGone("the connection broke") from error

    async def receive(self) -> bytes:
        """The next bytes from the pod; PodGone if there are no more."""
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                raise PodGone("the connection ended")
            channel, data = message.data[0], message.data[1:]
            if channel not in self._begun:
                self._begun.add(channel)
                data = data[PORT_BYTES:]
            if data and channel == DATA:
                return bytes(data)
            if data:
                raise PodGone(data.decode(errors="replace")[:200])

    async def close(self) -> None:
        """End the connection."""
        await self._socket.close()
