"""The probes' listener: real plain HTTP on loopback, with a pretended worker behind it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from triveni.worker import health as module
from triveni.worker.config import Address
from triveni.worker.health import CONNECTIONS, REQUEST_BYTES, Health, Progress
from triveni.worker.listen import listen
from triveni.worker.state import State


class FakeHost:
    state = State.STARTING
    progress: int | None = None

    def status(self) -> Mapping[str, Any]:
        return {
            "state": self.state,
            "epoch": 4,
            "party": 2,
            "granted": 9,
            "admitted": 3,
            "answered": 2,
            "latency_ms": {"p50": 5.0},
        }

    def run_progress(self) -> int | None:
        return self.progress


async def everything(reader: asyncio.StreamReader) -> bytes:
    """What comes until the other end closes, in whatever way."""
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""


async def until(condition: Callable[[], object]) -> None:
    """Let others go on until something is so."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)


class Served:
    """A listener, and whoever asks it."""

    def __init__(self, health: Health, host: FakeHost, port: int) -> None:
        self.health, self.host, self.port = health, host, port

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, request: bytes) -> tuple[int, dict[str, str], str]:
        """Status, headers and body of what it answers until it closes; status 0 if that is nothing."""
        reader, writer = await self.open()
        writer.write(request)
        answer = await everything(reader)
        writer.close()
        head, _, body = answer.decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = dict(line.split(": ") for line in lines)
        assert not answer or int(headers["Content-Length"]) == len(body)
        return int(first.split()[1]) if answer else 0, headers, body.removesuffix("\n")

    async def get(self, path: str) -> tuple[int, str]:
        status, _, body = await self.say(f"GET {path} HTTP/1.1\r\nHost: pod\r\n\r\n".encode())
        return status, body


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    host = FakeHost()
    health = Health(host, run_timeout_s=30)
    listener = listen("probes", Address("127.0.0.1", _free_port()))
    await health.start(listener)
    yield Served(health, host, listener.getsockname()[1])
    health.stop()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("state", State)
async def test_a_worker_lives_in_every_state_and_is_ready_only_while_it_serves(served: Served, state: State) -> None:
    served.host.state = state
    assert await served.get("/healthz") == (200, "ok")
    assert await served.get("/readyz") == (200 if state is State.SERVING else 503, state.value)


async def test_counts_hold_what_is_public_and_nothing_else(served: Served) -> None:
    status, headers, body = await served.say(b"GET /counts HTTP/1.1\r\n\r\n")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {"epoch": 4, "party": 2, "state": "Starting", "admitted": 3, "answered": 2}


async def test_a_query_does_not_matter(served: Served) -> None:
    assert await served.get("/healthz?verbose") == (200, "ok")


@pytest.mark.parametrize("path", ["/", "/healthz/", "/metrics", "/v2", "/../counts", "//healthz", "*"])
async def test_there_is_nothing_else(served: Served, path: str) -> None:
    assert await served.get(path) == (404, "Not Found")


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "DELETE", "get"])
async def test_nothing_can_be_done_to_it(served: Served, method: str) -> None:
    status, headers, _ = await served.say(f"{method} /healthz HTTP/1.1\r\n\r\n".encode())
    assert (status, headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("request_line", [b"", b"GET", b"GET /healthz", b"GET /healthz HTTP/2", b"\x16\x03\x01 \xff x"])
async def test_what_is_no_http_gets_400(served: Served, request_line: bytes) -> None:
    assert (await served.say(request_line + b"\r\n\r\n"))[0] == 400


async def test_a_long_request_is_not_read(served: Served) -> None:
    header = b"X: " + b"x" * (4 * REQUEST_BYTES)
    reader, writer = await served.open()
    writer.write(b"GET /healthz HTTP/1.1\r\n" + header)
    assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_whoever_says_nothing_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_S", 0.05)
    assert await served.say(b"GET /healthz HTTP/1.1\r\n") == (0, {}, "")


async def test_many_connections_are_not_kept_and_the_next_is_answered(served: Served) -> None:
    silent = [await served.open() for _ in range(CONNECTIONS)]
    await until(lambda: len(served.health._open) == CONNECTIONS)
    assert await served.get("/healthz") == (0, "")
    for _, writer in silent:
        writer.close()
    await until(lambda: not served.health._open)
    assert await served.get("/healthz") == (200, "ok")


async def test_one_that_hangs_up_does_no_harm(served: Served) -> None:
    _, writer = await served.open()
    writer.write(b"GET /hea")
    writer.transport.abort()
    assert await served.get("/healthz") == (200, "ok")


async def test_at_the_end_nothing_stays_open(served: Served) -> None:
    reader, writer = await served.open()
    await until(lambda: served.health._open)
    served.health.stop()
    assert await everything(reader) == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await served.open()


async def test_a_run_that_stands_still_is_not_healthy(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.health, "_progress", Progress(patience_s=-1))
    served.host.progress = 7
    assert await served.get("/healthz") == (503, "the engine is stuck")
    served.host.progress = None
    assert await served.get("/healthz") == (200, "ok")


def test_a_run_is_stuck_once_it_makes_no_progress_for_too_long() -> None:
    progress = Progress(patience_s=40)
    assert [progress.is_stuck(5, now) for now in (100, 120, 140, 141)] == [False, False, False, True]


def test_a_run_that_goes_on_is_not_stuck_however_long_it_takes() -> None:
    progress = Progress(patience_s=40)
    assert not any(progress.is_stuck(now, now) for now in range(0, 4000, 39))


def test_a_worker_that_waits_for_requests_is_not_stuck() -> None:
    progress = Progress(patience_s=40)
    progress.is_stuck(5, 0)
    assert not progress.is_stuck(None, 100)
    assert not progress.is_stuck(5, 101), "a run that was seen before and after a pause is another one"
