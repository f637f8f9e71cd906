"""A real S3 store of this machine: versitygw over a directory. It verifies signatures; it issues no session tokens."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import queue
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.e2e.cluster import binaries
from tests.unit.sharing.raw_server import connections

REGION = "eu-central-1"
KEY_ID, SECRET = "AKIASTORE", "s3cr3t/of+the=store"

READY_SECONDS = 30.0


@dataclass(frozen=True)
class Store:
    """A store that runs; `put` makes an object in the bucket `models`."""

    endpoint: str

    def put(self, key: str, body: bytes) -> None:
        assert self._put(f"/models/{quote(key)}", body) == 200

    def make_bucket(self) -> None:
        assert self._put("/models", b"") == 200

    def _put(self, path: str, body: bytes) -> int:
        """A signed PUT, written from the specification: the project itself never writes to a store."""
        parts = urlsplit(self.endpoint)
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": now}
        listed = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = "\n".join(("PUT", path, "", listed, ";".join(headers), digest))
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{SECRET}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={';'.join(sorted(headers))}, "
            f"Signature={key.hex()}"
        )
        host, port = parts.hostname or "", parts.port or 0
        plain = parts.scheme == "http"
        connection = (
            http.client.HTTPConnection(host, port, timeout=20)
            if plain
            else http.client.HTTPSConnection(host, port, timeout=20, context=ssl._create_unverified_context())
        )
        with contextlib.closing(connection):
            connection.request("PUT", path, body, headers)
            return connection.getresponse().status


@contextmanager
def running(directory: Path, certificate: Path | None = None) -> Iterator[Store]:
    """A store over a new directory, with TLS if it has a certificate (its key lies beside it)."""
    program = binaries.versitygw()
    (directory / "objects").mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tls = [f"--cert={certificate}", f"--key={certificate.with_suffix('.key')}"] if certificate else []
    command = [program, f"--port=127.0.0.1:{port}", f"--access={KEY_ID}", f"--secret={SECRET}", f"--region={REGION}"]
    command += [*tls, "posix", f"--sidecar={directory / 'sidecar'}", str(directory / "objects")]
    (directory / "sidecar").mkdir()
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            store = Store(f"http{'s' if certificate else ''}://127.0.0.1:{port}")
            _wait(store, process)
            yield store
        finally:
            process.terminate()
            process.wait(20)


def _wait(store: Store, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            return store.make_bucket()
        except ConnectionRefusedError:
            assert process.poll() is None, "the store ended"
            assert time.monotonic() < deadline, "the store does not answer"
            time.sleep(0.05)


@contextmanager
def breaking_in_thread(store: Store, after: list[int], go_on: threading.Event) -> Iterator[str]:
    """The same as `breaking`, for a test that is no coroutine; what comes after the breaks waits for `go_on`."""
    started: queue.Queue[str] = queue.Queue()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with breaking(store, after, lambda: asyncio.to_thread(go_on.wait, READY_SECONDS)) as endpoint:
            started.put(endpoint)
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield started.get(timeout=READY_SECONDS)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(READY_SECONDS)
        loop.close()


@asynccontextmanager
async def breaking(
    store: Store, after: list[int], go_on: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
) -> AsyncIterator[str]:
    """An endpoint in front of a store whose connections break, the next one after so many bytes of the answer."""
    parts = urlsplit(store.endpoint)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not after:
            await go_on()
        left = after.pop(0) if after else 2**40
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            back.write(await reader.readuntil(b"\r\n\r\n"))
            while left and (piece := await there.read(min(left, 2**16))):
                left -= len(piece)
                writer.write(piece)
                await writer.drain()
        finally:
            back.close()
            with contextlib.suppress(ConnectionError):
                await back.wait_closed()

    async with connections(serve) as endpoint:
        yield endpoint
