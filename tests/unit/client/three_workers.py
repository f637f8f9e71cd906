"""Three workers in this process: real TLS, real HTTP, a public linear map instead of a secret model.

A linear map of whole numbers works component by component, so the answers are those of real workers. Each worker can be
told to misbehave, and keeps what it was sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from triveni.api.inference import HEADER_LENGTH, Reason, Tensor, decode, encode, error_body
from triveni.client import Connection
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import server_context
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.sharing import component_names, components_of

NAMESPACE, UID, NAME = "default", "5f0c", "mnist"

INPUT_SHAPE = (2, 3)

MATRIX = np.arange(-9, 15).reshape(6, 4)
"""The model: flat row @ MATRIX."""

Misdeed = Callable[["Worker", web.Request, bytes], Awaitable[web.StreamResponse | None]]
"""Is given a request and its body before the worker looks at it; None lets the worker go on."""


def plain(x: Any) -> NDArray[np.float64]:
    """What the three compute, for rows."""
    rows = np.asarray(x, np.float64).reshape(-1, 6)
    return rows @ MATRIX


@dataclass
class Worker:
    """One party. `seen` holds id and body of every request, in order; `misdeeds` are used up one by one."""

    party: int
    epoch: int
    authority: Authority
    port: int = 0
    identity: Identity | None = None
    max_rows: int = 4
    answer_bits: int | None = None
    program_digest: str | None = "aa" * 32
    last_layer: str = "Dense"
    input_range: dict[str, float] | None = None
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    misdeeds: deque[Misdeed] = field(default_factory=deque)
    always: Misdeed | None = None
    protocol: str = "ABY3"
    metadata_asked: int = 0
    tamper: Callable[[int, NDArray[np.int64]], NDArray[np.int64]] = lambda _, words: words
    reword: Callable[[web.Response], web.Response] = lambda response: response
    """May change the metadata."""
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.add_routes(
            [
                web.get(f"/v2/models/{NAME}", self._metadata),
                web.post(f"/v2/models/{NAME}/infer", self._infer),
                web.get("/v2/health/live", self._live),
                web.get("/triveni/v1/status", self._status),
            ]
        )
        identity = self.identity or Identity.worker(NAMESPACE, UID, self.epoch, self.party)
        credentials = self.authority.issue(identity)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=server_context(credentials))
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metadata(self, request: web.Request) -> web.Response:
        self.metadata_asked += 1
        return self.reword(web.json_response(self._description()))

    def _description(self) -> dict[str, Any]:
        components = component_names(self.party, self.protocol)

        def tensors(*shape: int) -> list[dict[str, Any]]:
            return [{"name": name, "datatype": "INT64", "shape": [-1, *shape]} for name in components]

        return {
            "name": NAME,
            "inputs": tensors(*INPUT_SHAPE),
            "outputs": tensors(4),
            "parameters": {
                "namespace": NAMESPACE,
                "uid": UID,
                "epoch": self.epoch,
                "party": self.party,
                "protocol": self.protocol,
                "fractional_bits": fixed_point(self.protocol).fractional_bits,
                "input_shape": list(INPUT_SHAPE),
                "output_shape": [4],
                "max_rows": self.max_rows,
                "program_digest": self.program_digest,
                "architecture": {
                    "layers": [{"kind": "Dense"}, {"kind": self.last_layer}],
                    **({} if self.answer_bits is None else {"answer": {"fractional_bits": self.answer_bits}}),
                },
                "input_range": self.input_range,
            },
        }

    async def _live(self, request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "state": "Serving",
                "epoch": self.epoch,
                "party": self.party,
                "granted": 100,
                "admitted": len(self.seen),
                "answered": len(self.seen),
                "requests_waiting": 0,
                "runs": len(self.seen),
                "rounds": 37 * len(self.seen),
                "bytes_sent": 250_000 * len(self.seen),
                "latency_ms": {"p50": 2.5, "p90": 3.0, "p99": 4.25} if self.seen else {},
            }
        )

    async def _infer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        header, tensors = decode(body, request.headers[HEADER_LENGTH])
        self.seen.append((header["id"], body))
        misdeed = self.misdeeds.popleft() if self.misdeeds else self.always
        if misdeed is not None and (response := await misdeed(self, request, body)) is not None:
            return response
        assert [t.name for t in tensors] == [*component_names(self.party, self.protocol)]
        rows = len(tensors[0].data) if tensors else header["parameters"]["rows"]
        assert 1 <= rows <= self.max_rows
        answers = [
            Tensor(t.name, self.tamper(c, t.data.reshape(-1, 6) @ MATRIX))
            for c, t in zip(components_of(self.party, self.protocol), tensors, strict=True)
        ]
        reply = {"id": header["id"], "parameters": {"epoch": self.epoch, "party": self.party}}
        length, chunks = encode(reply, answers, "outputs")
        return web.Response(body=b"".join(chunks), headers={HEADER_LENGTH: str(length)})


async def drop(worker: Worker, request: web.Request, body: bytes) -> None:
    """Close the connection without a word."""
    assert request.transport is not None
    request.transport.abort()
    # aiohttp notices the closed transport and cancels this.
    await asyncio.Event().wait()


async def hang(worker: Worker, request: web.Request, body: bytes) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def refuse(reason: Reason, message: str = "no") -> Misdeed:
    """Answer with a refusal."""

    async def misdeed(worker: Worker, request: web.Request, body: bytes) -> web.Response:
        return web.Response(status=reason.status, body=error_body(reason, message))

    return misdeed


@dataclass
class Workers:
    """All three, and how to reach them."""

    authority: Authority
    parties: list[Worker]
    credentials: Credentials

    @property
    def connection(self) -> Connection:
        first, second, third = (f"https://127.0.0.1:{worker.port}" for worker in self.parties)
        return Connection(NAME, NAMESPACE, UID, (first, second, third), self.credentials)

    async def restart(self, epoch: int) -> None:
        """End the epoch, and begin another at the same addresses."""
        for worker in self.parties:
            await worker.stop()
        for worker in self.parties:
            worker.epoch = epoch
            await worker.start()


@asynccontextmanager
async def three_workers(epoch: int = 1, protocol: str = "ABY3") -> AsyncIterator[Workers]:
    """Serving until the end of the block."""
    authority = Authority.create(NAMESPACE, UID)
    credentials = authority.issue(Identity.of_client(NAMESPACE, UID, "tests"))
    workers = Workers(
        authority, [Worker(party, epoch, authority, protocol=protocol) for party in range(3)], credentials
    )
    try:
        for worker in workers.parties:
            await worker.start()
        yield workers
    finally:
        for worker in workers.parties:
            await worker.stop()
