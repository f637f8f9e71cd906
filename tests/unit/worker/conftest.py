"""Certificates, and real TLS connections between workers on loopback."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import client_context, server_context
from triveni.worker.links import DataLinks


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.create("default", "uid")


@pytest.fixture(scope="session")
def worker_credentials(authority: Authority) -> list[Credentials]:
    return [authority.issue(Identity.worker("default", "uid", 1, party)) for party in range(3)]


Connect = Callable[[int, int], tuple]


@pytest.fixture
def connect(worker_credentials: list[Credentials]) -> Iterator[Connect]:
    """Makes a TLS connection from one worker to another: (its end, the other's end)."""
    with ExitStack() as stack:

        def make(sender: int, receiver: int) -> tuple:
            near, far = socket.socketpair()
            ends: list = []

            def accept() -> None:
                ends.append(server_context(worker_credentials[receiver]).wrap_socket(far, server_side=True))

            thread = threading.Thread(target=accept)
            thread.start()
            mine = client_context(worker_credentials[sender]).wrap_socket(near)
            thread.join(10)
            for sock in (mine, *ends):
                stack.callback(sock.close)
            return mine, ends[0]

        yield make


@pytest.fixture
def three_links(connect: Connect) -> Iterator[list[DataLinks]]:
    """The data links of three workers that are connected to each other."""
    outgoing: list[dict] = [{}, {}, {}]
    incoming: list[dict] = [{}, {}, {}]
    for sender in range(3):
        for receiver in {0, 1, 2} - {sender}:
            outgoing[sender][receiver], incoming[receiver][sender] = connect(sender, receiver)
    links = [DataLinks(outgoing[party], incoming[party], timeout_s=5.0) for party in range(3)]
    yield links
    for link in links:
        link.close()
