"""Three workers' fronts in this process, as far as the sharing job knows them; each can be told to answer otherwise."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from triveni.api.inference import HEADER_LENGTH, Tensor, decode
from triveni.identity.authority import Authority
from triveni.identity.names import Identity
from triveni.identity.tls import server_context
from triveni.sharing.worker_link import Address

NAMESPACE, UID, EPOCH = "default", "5f0c", 3

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Front:
    """One worker: what it was given, and its answers."""

    identity: Identity
    authority: Authority
    port: int = 0
    architecture: dict[str, Any] | None = None
    tensors: list[Tensor] = field(default_factory=list)
    program_digest: str = "ab" * 32
    answer: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port)

    async def start(self) -> None:
        app = web.Application(client_max_size=2**28)
        app.add_routes([web.put("/triveni/v1/{what}", self._put)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        context = server_context(self.authority.issue(self.identity))
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _put(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        self.requests.append(what)
        if what in self.answer:
            return await self.answer[what](request)
        body = await request.read()
        if what == "architecture":
            self.architecture = json.loads(body)
            return web.json_response({"program_digest": self.program_digest, "online_rounds": 37})
        _, self.tensors = decode(body, request.headers[HEADER_LENGTH])
        return web.json_response({})


@asynccontextmanager
async def three_fronts(authority: Authority) -> AsyncIterator[list[Front]]:
    fronts = [Front(Identity.worker(NAMESPACE, UID, EPOCH, party), authority) for party in range(3)]
    try:
        for front in fronts:
            await front.start()
        yield fronts
    finally:
        for front in fronts:
            await front.stop()
