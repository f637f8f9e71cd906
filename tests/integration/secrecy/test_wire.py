"""What crosses the wire while an epoch is served is TLS 1.3 and nothing else."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable

import numpy as np
import pytest

from tests.integration.secrecy.canary import Canary
from tests.integration.secrecy.capture import Capture, Connection, Content, NotTls, records, require_tls_1_3
from tests.integration.secrecy.evenness import equal_beyond_chance
from tests.integration.secrecy.held import REQUESTS, Held
from triveni.identity.authority import Authority
from triveni.identity.names import Identity
from triveni.identity.tls import client_context, server_context

LEAST_CONNECTIONS = 3 * 2 + 2 + 3 * 2 + 3
"""Data links, control links, those of the sharing job, those of a client."""


def test_every_connection_to_a_worker_is_tls_1_3_from_its_first_byte(held: Held) -> None:
    assert len(held.connections) >= LEAST_CONNECTIONS
    assert len({connection.port for connection in held.connections}) == 6
    assert sum(len(c.sent) + len(c.received) for c in held.connections) > REQUESTS * 500_000
    for connection in held.connections:
        require_tls_1_3(connection)


def test_no_packet_holds_a_number_of_model_or_input_nor_text_of_the_protocol(held: Held, canary: Canary) -> None:
    assert canary.find([b"".join(held.packets)]) == set()
    for text in (b"HTTP/1.1", b"/v2/models/", b"component_0", b"canary-0", b'"architecture"'):
        assert not any(text in packet for packet in held.packets)


def test_no_word_of_what_is_encrypted_is_there_twice(held: Held) -> None:
    bodies = [
        record.body[: len(record.body) // 8 * 8]
        for connection in held.connections
        for stream in (connection.sent, connection.received)
        for record in records(stream)
        if record.content is Content.APPLICATION_DATA
    ]
    assert not equal_beyond_chance(np.frombuffer(b"".join(bodies), "<u8"))


def captured(serve: Callable[[socket.socket], None], connect: Callable[[socket.socket], None]) -> Connection:
    """One connection of two functions' making."""
    with Capture() as capture, socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with listener.accept()[0] as accepted:
                serve(accepted)

        port = listener.getsockname()[1]
        server = threading.Thread(target=accept)
        server.start()
        with socket.create_connection(("127.0.0.1", port)) as connected:
            connect(connected)
        server.join()
    (connection,) = capture.connections([port])
    return connection


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = Authority.create("default", "uid")
    server = server_context(authority.issue(Identity.worker("default", "uid", 1, 0)))
    return server, client_context(authority.issue(Identity.of_client("default", "uid", "alice")))


def talk(context: ssl.SSLContext, *, accepts: bool) -> Callable[[socket.socket], None]:
    def run(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=accepts) as wrapped:
            wrapped.sendall(b"GET / HTTP/1.1\r\n\r\n")
            wrapped.recv(100)

    return run


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_would_be_noticed(contexts: tuple[ssl.SSLContext, ssl.SSLContext], version: ssl.TLSVersion) -> None:
    for context in contexts:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = version
    server, client = contexts
    connection = captured(talk(server, accepts=True), talk(client, accepts=False))
    with pytest.raises(NotTls, match=r"not TLS 1\.3 alone"):
        require_tls_1_3(connection)


def test_plain_http_would_be_noticed() -> None:
    connection = captured(lambda sock: sock.sendall(sock.recv(100)), lambda sock: sock.sendall(b"GET / HTTP/1.1\r\n"))
    with pytest.raises(NotTls, match="begin no record"):
        require_tls_1_3(connection)
