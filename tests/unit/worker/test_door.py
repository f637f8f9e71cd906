"""The front's door over real TLS: each limit of a connection, and that others are served meanwhile."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack

import pytest

from tests.unit.worker.fronts import ROW_BYTES, Served, body_of, serving, tensors
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import client_context, server_context
from triveni.worker import door as module
from triveni.worker.door import LINE_BYTES, LINES, Door, Visitors

SOON_S = 30.0

Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def served(authority: Authority, worker_credentials: list[Credentials]) -> AsyncIterator[Served]:
    async with serving(authority, worker_credentials) as one:
        yield one


def context_of(authority: Authority, name: str = "mallory") -> ssl.SSLContext:
    return client_context(authority.issue(Identity.of_client("default", "uid", name)))


async def link(served: Served, context: ssl.SSLContext) -> Link:
    return await asyncio.open_connection("127.0.0.1", served.port, ssl=context)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the front ends the connection, in whatever way; at most `SOON_S`."""
    data = b""
    async with asyncio.timeout(SOON_S):
        try:
            while piece := await reader.read(1 << 16):
                data += piece
        except (ConnectionError, ssl.SSLError):
            pass
    return data


async def is_served(served: Served) -> None:
    """An honest client is, well within its time."""
    async with asyncio.timeout(SOON_S):
        status, _, _ = await served.infer(*body_of(tensors()))
    assert status == 200


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110 (the other side of it gives no event)
            await asyncio.sleep(0.01)


def logged(served: Served, event: str) -> list[tuple[str, str]]:
    return [(line["who"], line["why"]) for line in served.log if line["event"] == event]


MALLORY = "triveni://default/uid/client/mallory"


async def test_a_header_that_drips_in_is_not_waited_for(
    served: Served, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_REQUEST_S", 0.3)
    links = [await link(served, context_of(authority)) for _ in range(3)]

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /v2 HTTP/1.1\r\n")
        while True:
            writer.write(b"X: y\r\n")
            await asyncio.sleep(0.05)

    dripping = [asyncio.create_task(drip(writer)) for _, writer in links]
    await is_served(served)
    for reader, _ in links:
        assert await ended(reader) == b""
    for task in dripping:
        task.cancel()
    for _, writer in links:
        writer.close()
    assert logged(served, "connection closed") == [(MALLORY, "no whole request came within 0.3 s")]


async def test_a_connection_that_says_nothing_after_its_handshake_is_closed(
    served: Served, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_REQUEST_S", 0.2)
    reader, writer = await link(served, context_of(authority))
    assert await ended(reader) == b""
    writer.close()
    await is_served(served)


async def test_after_an_answer_the_next_request_may_take_longer_but_not_for_ever(
    served: Served, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_REQUEST_S", 0.2)
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.5)
    monkeypatch.setattr(module, "LINGER_S", 0.1)
    reader, writer = await link(served, context_of(authority))
    for _ in range(2):
        writer.write(b"GET /v2/health/live HTTP/1.1\r\nHost: w\r\n\r\n")
        assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON_S)
        await asyncio.wait_for(reader.readexactly(len('{"live": true}')), SOON_S)
        await asyncio.sleep(0.3)
    writer.write(b"GET /v2/health/li")
    assert await ended(reader) == b""
    writer.close()


async def test_a_handshake_that_does_not_go_on_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_S", 0.2)
    silent, half = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(2)]
    half[1].write(b"\x16\x03\x01\x02\x00")  # the beginning of a TLS greeting
    await is_served(served)
    for reader, writer in (silent, half):
        assert await ended(reader) == b""
        writer.close()
    assert logged(served, "connection refused") == [("127.0.0.1", "TLS: no handshake within 0.2 s")]


@pytest.fixture
def four_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """To be asked for before the door is opened."""
    monkeypatch.setattr(module, "HANDSHAKES", 4)


async def test_more_unfinished_handshakes_than_there_is_room_for_end_the_oldest(
    four_handshakes: None, served: Served
) -> None:
    links = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(10)]
    for reader, _ in links[:6]:
        assert await ended(reader) == b""
    await is_served(served)
    assert await ended(links[6][0]) == b"", "the honest one took its place"
    assert not links[9][0].at_eof()
    for _, writer in links:
        writer.close()
    assert [who for who, _ in logged(served, "connection refused")] == ["127.0.0.1"]


async def test_one_name_has_a_number_of_connections_and_others_their_own(
    served: Served, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAME_CONNECTIONS", 3)
    links = [await link(served, context_of(authority)) for _ in range(5)]
    for reader, _ in links[3:]:
        assert await ended(reader) == b""
    assert not any(reader.at_eof() for reader, _ in links[:3])
    await is_served(served)
    assert logged(served, "connection closed") == [(MALLORY, "it has 3 connections already")]
    links[0][1].close()
    await links[0][1].wait_closed()

    async def again() -> bool:
        reader, writer = await link(served, context_of(authority))
        writer.write(b"GET /v2/health/live HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n")
        answer = await ended(reader)
        writer.close()
        return answer.startswith(b"HTTP/1.1 200 ")

    async with asyncio.timeout(SOON_S):
        while not await again():
            pass
    for _, writer in links:
        writer.close()


async def test_all_together_have_a_number_of_connections(
    served: Served, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    await is_served(served)  # and its connection is kept
    monkeypatch.setattr(module, "CONNECTIONS", 3)
    links = [await link(served, context_of(authority, f"c{number}")) for number in range(4)]
    for reader, _ in links[2:]:
        assert await ended(reader) == b""
    await is_served(served)
    for _, writer in links:
        writer.close()


@pytest.mark.parametrize(
    "header",
    [
        b"X: " + b"y" * (LINE_BYTES + 1) + b"\r\n",
        b"".join(b"X%d: y\r\n" % number for number in range(LINES + 1)),
        b"X: y\r\n" * 100_000,
    ],
    ids=["a long line", "many lines", "no end"],
)
async def test_a_header_that_is_too_large_is_refused(served: Served, authority: Authority, header: bytes) -> None:
    for _ in range(2):
        reader, writer = await link(served, context_of(authority))
        writer.write(b"GET /v2 HTTP/1.1\r\nHost: w\r\n" + header + b"\r\n")
        head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
        assert head.split()[1] == b"413"
        assert json.loads(body)["reason"] == "TooLarge"
        writer.close()
    assert [who for who, _ in logged(served, "request refused")] == [MALLORY]
    assert {line["event"] for line in served.log} == {"request refused"}
    await is_served(served)


@pytest.mark.parametrize("data", [b"\0\1\2\r\n\r\n", b"GET\r\n\r\n", b"GET /v2 HTTP/9.9\r\n\r\n", b"G" * 100_000])
async def test_what_is_no_http_is_told_so_and_logged_once(served: Served, authority: Authority, data: bytes) -> None:
    for _ in range(2):
        reader, writer = await link(served, context_of(authority))
        writer.write(data)
        head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
        assert head.split()[1] in (b"400", b"413")
        assert set(json.loads(body)) == {"error", "reason"}
        writer.close()
    assert [who for who, _ in logged(served, "request refused")] == [MALLORY]
    await is_served(served)


async def test_a_body_without_end_is_cut_where_its_length_says(served: Served, authority: Authority) -> None:
    body, length = body_of(tensors())
    reader, writer = await link(served, context_of(authority))
    head = f"POST /v2/models/mnist/infer HTTP/1.1\r\nHost: w\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Inference-Header-Content-Length: {length}\r\n\r\n".encode() + body)
    assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON_S)

    async def for_ever() -> None:
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()

    with pytest.raises((ConnectionError, ssl.SSLError)):
        await asyncio.wait_for(for_ever(), SOON_S)
    writer.close()
    await is_served(served)


async def test_slow_bodies_take_no_place_of_others(served: Served, authority: Authority) -> None:
    """Each has half a second here."""
    context = context_of(authority)
    links = [await link(served, context) for _ in range(20)]
    head = f"POST /v2/models/mnist/infer HTTP/1.1\r\nHost: w\r\nContent-Length: {ROW_BYTES}\r\n\r\n"
    for _, writer in links:
        writer.write(head.encode() + b"half")
    await is_served(served)
    for reader, writer in links:
        assert (await ended(reader)).startswith(b"HTTP/1.1 504 ")
        writer.close()


async def test_a_client_may_have_many_requests_under_way_and_no_other_waits_for_them(
    served: Served, authority: Authority
) -> None:
    never = asyncio.Event()
    served.host.desk.act = never.wait
    body, length = body_of(tensors())
    context = context_of(authority)
    links = [await link(served, context) for _ in range(40)]
    head = f"POST /v2/models/mnist/infer HTTP/1.1\r\nHost: w\r\nContent-Length: {len(body)}\r\n"
    for _, writer in links:
        writer.write(f"{head}Inference-Header-Content-Length: {length}\r\n\r\n".encode() + body)
    await until(lambda: len(served.host.desk.asked) == 40)
    served.host.desk.act = None
    await is_served(served)
    for _, writer in links:
        writer.close()


async def test_out_of_descriptors_the_front_goes_on_as_soon_as_there_are_some(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([OSError(24, "Too many open files")] * 3)
    accept = socket.socket.accept

    def fail(self: socket.socket) -> tuple[socket.socket, object]:
        error = next(failures, None)
        if error is not None:
            raise error
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", fail)
    await is_served(served)
    assert next(failures, None) is None


async def test_a_front_that_stops_lets_go_of_all_that_hang(served: Served, authority: Authority) -> None:
    context = context_of(authority)
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", served.port))) for _ in range(3)]
        reader, writer = await link(served, context)
        await asyncio.wait_for(served.front.stop(), SOON_S)
        assert await ended(reader) == b""
        writer.close()
        for sock in silent:
            sock.settimeout(SOON_S)
            assert await asyncio.to_thread(_rest, sock) == b""


def _rest(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1)
    except ConnectionError:
        return b""


async def test_a_connection_that_comes_in_the_turn_in_which_the_door_closes_is_no_error(
    worker_credentials: list[Credentials],
) -> None:
    loop, problems = asyncio.get_running_loop(), list[str]()
    loop.set_exception_handler(lambda _, context: problems.append(context["message"]))
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    visitors = Visitors(None, None)  # nobody gets that far
    door = Door(listener, server_context(worker_credentials[0]), visitors)
    for _ in range(3):  # until it waits for somebody
        await asyncio.sleep(0)
    with socket.create_connection(listener.getsockname()):
        loop.call_soon(door.close)
        for _ in range(3):
            await asyncio.sleep(0)
    assert problems == []
