"""Loopback ports for three workers: one for clients and one for peers each.

Front ports stay the same over all epochs, so that a connection file stays valid. They are chosen below the range that
the system gives to outgoing connections: a client that knocks while no worker listens could otherwise be given the very
port it knocks at, connect to itself and keep the next worker from listening there.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
COUNT = 6
LOWEST, HIGHEST = 20000, 32000

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(eq=False)
class PortInUse(Exception):
    """A port that the user asked for is taken."""

    port: int
    base: int

    def __str__(self) -> str:
        return (
            f"port {self.port} is in use; --port {self.base} needs {self.base} to {self.base + COUNT - 1} free: "
            f"end what uses it, give another --port, or leave it out to have free ports chosen"
        )


class NoFreePorts(Exception):
    """No port could be found, however many were tried."""

    def __str__(self) -> str:
        return f"found no {COUNT} free ports from {LOWEST} to {HIGHEST}; give a free range with --port"


@dataclass(frozen=True, slots=True)
class Ports:
    """`front[p]` is where clients reach worker p, `peer[p]` where the other workers do."""

    front: tuple[int, int, int]
    peer: tuple[int, int, int]


def choose(base: int | None) -> Ports:
    """Ports `base` to `base`+5, or six free ones.

    Raises:
        PortInUse: one of the ports that were asked for is taken.
        NoFreePorts: none were asked for, and too few are free.
    """
    numbers = list(range(base, base + COUNT)) if base is not None else list(_candidates())
    chosen = []
    for port in numbers:
        if is_free(port):
            chosen.append(port)
        elif base is not None:
            raise PortInUse(port, base)
        if len(chosen) == COUNT:
            a, b, c, d, e, f = chosen
            return Ports((a, b, c), (d, e, f))
    raise NoFreePorts


def is_free(port: int) -> bool:
    """Whether a server could listen on a loopback port now."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
        except OSError:
            return False
    return True


def _candidates() -> Iterator[int]:
    highest = HIGHEST
    if _EPHEMERAL.exists():
        highest = max(LOWEST + 1000, min(HIGHEST, int(_EPHEMERAL.read_text().split()[0]) - 1))
    yield from random.sample(range(LOWEST, highest), 200)
