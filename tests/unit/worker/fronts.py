"""A front over real TLS, with a pretended worker behind it, and those who ask it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import numpy as np

from triveni.api.inference import HEADER_LENGTH, Reason, Tensor, encode
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import client_context, server_context
from triveni.worker.admission import Answer, Words
from triveni.worker.config import Address, Config
from triveni.worker.front import Front
from triveni.worker.log import Log
from triveni.worker.refusal import Refused
from triveni.worker.state import State

ROW = (2, 3)
MAX_ROWS = 4
ROW_BYTES = 2 * 8 * 6
SHARE_BYTES = 1000


@dataclass
class FakeDesk:
    """Answers each request with its own shares, or does what it is told to do."""

    act: Callable[[], Awaitable[None]] | None = None
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @contextmanager
    def expecting(self, nbytes: int) -> Iterator[None]:
        assert nbytes >= 0
        yield

    async def answer(self, key: str, rows: int, digest: bytes, shares: tuple[Words, ...]) -> Answer:
        self.asked.append((key, digest))
        try:
            if self.act is not None:
                await self.act()
        except asyncio.CancelledError:
            self.left.append(key)
            raise
        return Answer(tuple(words.copy() for words in shares))


class FakeHost:
    state = State.SERVING

    def __init__(self) -> None:
        self.desk = FakeDesk()
        self.refusal: Refused | None = None
        self.architectures: list[Any] = []
        self.loaded: list[list[Tensor]] = []
        self.copies: list[np.ndarray] = []
        self.fault: Exception | None = None

    def serving(self) -> Any:
        if self.refusal is not None:
            raise self.refusal
        return self.desk, SimpleNamespace(row_bytes=ROW_BYTES, program=SimpleNamespace(input_shape=ROW))

    def status(self) -> Mapping[str, Any]:
        if self.fault is not None:
            raise self.fault
        return {"state": self.state}

    def metadata(self) -> bytes:
        self.serving()
        return b'{"name": "mnist"}'

    async def set_architecture(self, document: Any) -> Mapping[str, Any]:
        self.architectures.append(document)
        return {"program_digest": "ab"}

    def share_bytes(self) -> int:
        return SHARE_BYTES

    async def load_shares(self, tensors: list[Tensor]) -> None:
        self.loaded.append(tensors)
        self.copies = [tensor.data.copy() for tensor in tensors]


class Served:
    """A front that serves, and sessions for whoever asks."""

    def __init__(self, front: Front, host: FakeHost, port: int, authority: Authority, log: list[dict]) -> None:
        self.front, self.host, self.log = front, host, log
        self.port = port
        self.base = f"https://127.0.0.1:{port}"
        self.sessions: list[aiohttp.ClientSession] = []
        self._authority = authority
        self.alice = self.session(Identity.of_client("default", "uid", "alice"))
        self.sharing = self.session(Identity.sharing_job("default", "uid", 1))

    def session(self, identity: Identity) -> aiohttp.ClientSession:
        return self.session_with(self._authority.issue(identity))

    def session_with(self, credentials: Credentials) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=client_context(credentials))
        self.sessions.append(aiohttp.ClientSession(self.base, connector=connector))
        return self.sessions[-1]

    async def infer(self, body: bytes, header_length: int | None = None, **headers: str) -> tuple[int, Any, Any]:
        if header_length is not None:
            headers[HEADER_LENGTH] = str(header_length)
        async with self.alice.post("/v2/models/mnist/infer", data=body, headers=headers) as response:
            return response.status, response.headers, await response.read()


@asynccontextmanager
async def serving(
    authority: Authority, worker_credentials: list[Credentials], party: int = 1, protocol: str = "ABY3"
) -> AsyncIterator[Served]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    here = Address("127.0.0.1", 1)
    config = Config(
        namespace="default",
        uid="uid",
        name="mnist",
        epoch=1,
        party=party,
        protocol=protocol,
        grant=None,
        listen=here,
        peer_listen=here,
        peers={peer: here for peer in range(3) if peer != party},
        credentials=Path("c"),
        report=Path("r"),
        max_rows=MAX_ROWS,
        request_timeout_s=0.5,
        share_timeout_s=0.5,
    )
    lines: list[dict] = []
    log = Log.to("debug", {}, SimpleNamespace(write=lambda text: lines.append(json.loads(text)), flush=lambda: None))  # type: ignore[arg-type]
    host = FakeHost()
    front = Front(config, host, log)
    await front.start(listener, server_context(worker_credentials[party]))
    served = Served(front, host, listener.getsockname()[1], authority, lines)
    yield served
    for session in served.sessions:
        await session.close()
    await front.stop()


def tensors(rows: int = 2, shape: tuple[int, ...] = ROW) -> list[Tensor]:
    return [Tensor(f"component_{c}", np.arange(rows * int(np.prod(shape))).reshape(rows, *shape) + c) for c in (1, 2)]


def body_of(given: list[Tensor], **header: Any) -> tuple[bytes, int]:
    length, chunks = encode({"id": "r1"} | header, given)
    return b"".join(chunks), length


async def reason(response: aiohttp.ClientResponse) -> Reason:
    document = await response.json()
    assert set(document) == {"error", "reason"}
    found = Reason(document["reason"])
    assert response.status == found.status
    return found
