"""Sockets that a worker listens on, bound before anything else happens, so that a port in use is a clear error."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from triveni.worker.config import Address


@dataclass(eq=False)
class CannotListen(Exception):
    """A port is in use, or an address is not of this machine."""

    what: str
    address: Address
    problem: str

    def __str__(self) -> str:
        return f"cannot listen for {self.what} at {self.address}: {self.problem}; free it or configure another"


def listen(what: str, address: Address) -> socket.socket:
    """A listening socket; `what` says who is to connect. CannotListen if there is none."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise CannotListen(what, address, error.strerror or str(error)) from None
    return listener
