"""The HTTPS front: which routes there are, who may use them, and what a request has to look like.

It decides nothing about requests; those go to the desk. Every refusal is one JSON object with a sentence and a reason.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from aiohttp import web

import triveni
from triveni.api.inference import (
    HEADER_LENGTH,
    MalformedRequest,
    Reason,
    Tensor,
    decode,
    encode,
    encode_json,
    error_body,
)
from triveni.identity.names import Identity, Role
from triveni.identity.tls import WrongPeer, certified_identity
from triveni.mpc.sharing import component_names
from triveni.worker.admission import Answer, Words
from triveni.worker.config import Config
from triveni.worker.desk import Desk
from triveni.worker.door import Door, Visit, Visitors
from triveni.worker.log import Log, Refusals
from triveni.worker.model import Model
from triveni.worker.refusal import Refused
from triveni.worker.state import State

HEADER_SLACK = 16 << 10
"""Bytes of a request's JSON header beyond its tensors."""

ARCHITECTURE_BYTES = 1 << 20

MAX_ID = 128

DRAIN_MOST_S = 2.0
"""How long answers may take to leave once the worker ends."""

JSON = "application/json"
BINARY = "application/octet-stream"

Handler = Callable[[web.BaseRequest, Identity], Awaitable[web.Response]]

CLIENT = frozenset({Role.CLIENT})
SHARING = frozenset({Role.SHARING})
BOTH = CLIENT | SHARING


class Host(Protocol):
    """What the front needs of the worker behind it."""

    @property
    def state(self) -> State:
        """Where the worker is in its life."""

    def serving(self) -> tuple[Desk, Model]:
        """Desk and model; Refused (NotReady) before there are weights."""

    def status(self) -> Mapping[str, Any]:
        """The live counts."""

    def metadata(self) -> bytes:
        """The public description; Refused (NotReady) before there are weights."""

    async def set_architecture(self, document: Any) -> Mapping[str, Any]:
        """Take the architecture; what came of it. Refused if it cannot be used."""

    def share_bytes(self) -> int:
        """Size of the weight shares that are expected; Refused if none are."""

    async def load_shares(self, tensors: list[Tensor]) -> None:
        """Take the weight shares; Refused if they do not fit."""


class Front:
    """The HTTPS server of one worker."""

    def __init__(self, config: Config, host: Host, log: Log) -> None:
        self._config = config
        self._host = host
        self._log = log
        self._components = component_names(config.party, config.protocol)
        self._refusals = Refusals(log)
        self._active = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._routes: dict[tuple[str, str], tuple[Handler, frozenset[Role]]] = {
            ("GET", "/v2"): (self._server, BOTH),
            ("GET", "/v2/"): (self._server, BOTH),
            ("GET", "/v2/health/live"): (self._live, BOTH),
            ("GET", "/v2/health/ready"): (self._ready, BOTH),
            ("PUT", "/triveni/v1/architecture"): (self._architecture, SHARING),
            ("PUT", "/triveni/v1/shares"): (self._shares, SHARING),
            ("GET", "/triveni/v1/status"): (self._status, BOTH),
        }
        for model in (f"/v2/models/{config.name}", f"/v2/models/{config.name}/versions/{config.epoch}"):
            self._routes |= {
                ("GET", model): (self._metadata, BOTH),
                ("GET", f"{model}/ready"): (self._ready, BOTH),
                ("POST", f"{model}/infer"): (self._infer, CLIENT),
            }
        self._visitors: Visitors | None = None
        self._door: Door | None = None

    async def start(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        """Serve on a bound socket until `stop`."""
        self._visitors = Visitors(self._handle, self._refusals)
        self._door = Door(listener, context, self._visitors)

    async def stop(self) -> None:
        """Let the answers out that are being sent, then close everything."""
        if self._door is None or self._visitors is None:
            return
        self._door.close()
        try:
            async with asyncio.timeout(DRAIN_MOST_S):
                await self._quiet.wait()
        except TimeoutError:
            self._log.warning("answers were not read in time", requests=self._active)
        self._visitors.pre_shutdown()  # connections that wait for a next request end now
        await self._visitors.shutdown(timeout=DRAIN_MOST_S)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        visit = request.protocol
        assert isinstance(visit, Visit)
        visit.request_began()
        self._active += 1
        self._quiet.clear()
        try:
            return await self._answer(request)
        except (Refused, MalformedRequest) as refused:
            if refused.reason is Reason.FORBIDDEN:
                self._refusals.note("request forbidden", visit.name, str(refused))
            return _json(json_body=error_body(refused.reason, str(refused)), status=refused.reason.status)
        except Exception as error:  # noqa: BLE001 (the last place where it can become an answer)
            self._log.error("a request failed", error, path=request.path)
            text = json.dumps({"error": "the worker failed; its log says where"}).encode()
            return _json(json_body=text, status=500)
        finally:
            visit.request_ended()
            self._active -= 1
            if not self._active:
                self._quiet.set()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        caller = self._caller(request)
        route = self._routes.get((request.method, request.path))
        if route is None:
            raise Refused(Reason.NOT_FOUND, f"there is no {request.method} {request.path[:200]} here")
        handler, roles = route
        if caller.role not in roles:
            raise _forbidden(f"a {caller.role} certificate may not {request.method} {request.path}")
        return await handler(request, caller)

    def _caller(self, request: web.BaseRequest) -> Identity:
        """Who asks, by the certificate; Refused (Forbidden) if not of this SecureModel or of another epoch."""
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        try:
            caller = _identity(dict(certificate or {}).get("subjectAltName", ()))
        except WrongPeer as error:
            raise _forbidden(str(error)) from None
        me = self._config
        if (caller.namespace, caller.uid) != (me.namespace, me.uid) or caller.epoch not in (None, me.epoch):
            raise _forbidden(f"{caller.uri} is not of {me.namespace}/{me.uid} in epoch {me.epoch}")
        return caller

    # --- the Open Inference Protocol ---

    async def _server(self, _request: web.BaseRequest, _caller: Identity) -> web.Response:
        return _json(
            {"name": "triveni", "version": triveni.__version__, "extensions": ["binary_tensor_data"]},
        )

    async def _live(self, _request: web.BaseRequest, _caller: Identity) -> web.Response:
        return _json({"live": True})

    async def _ready(self, _request: web.BaseRequest, _caller: Identity) -> web.Response:
        if self._host.state is not State.SERVING:
            raise Refused(Reason.NOT_READY, f"the worker is in state {self._host.state}")
        return _json({"ready": True})

    async def _metadata(self, _request: web.BaseRequest, _caller: Identity) -> web.Response:
        return _json(json_body=self._host.metadata())

    async def _infer(self, request: web.BaseRequest, caller: Identity) -> web.Response:
        desk, model = self._host.serving()
        size = _size(request, self._config.max_rows * model.row_bytes + HEADER_SLACK)
        with desk.expecting(size):
            body = await _body(request, size, self._config.request_timeout_s)
        header_length = request.headers.get(HEADER_LENGTH)
        header, tensors = decode(memoryview(body), header_length)
        request_id = header.get("id")
        if not isinstance(request_id, str) or not 1 <= len(request_id) <= MAX_ID:
            raise MalformedRequest("id", repr(request_id)[:80], f"a text of 1 to {MAX_ID} characters is needed")
        shares = self._request_shares(tensors, model)
        rows = len(shares[0]) if shares else self._rows(header)
        digest = hashlib.sha256(body).digest()
        answer = await desk.answer(f"{caller.client}/{request_id}", rows, digest, shares)
        return self._answered(request_id, answer, binary=header_length is not None)

    def _rows(self, header: Mapping[str, Any]) -> int:
        """The number of rows of a request that has no tensors for this worker: its parameter `rows`."""
        parameters = header.get("parameters")
        rows = parameters.get("rows") if isinstance(parameters, dict) else None
        if type(rows) is not int or not 1 <= rows <= self._config.max_rows:
            raise MalformedRequest(
                "parameters.rows", repr(rows)[:80], f"1 to {self._config.max_rows}, as the other two have, is needed"
            )
        return rows

    def _request_shares(self, tensors: list[Tensor], model: Model) -> tuple[Words, ...]:
        names = tuple(tensor.name for tensor in tensors)
        if names != self._components:
            raise MalformedRequest(
                "inputs",
                repr(names)[:200],
                f"worker {self._config.party} takes {' and '.join(self._components) or 'none'}",
            )
        row = list(model.program.input_shape)
        for position, tensor in enumerate(tensors):
            shape = list(tensor.data.shape)
            if (
                shape[1:] != row
                or not 1 <= shape[0] <= self._config.max_rows
                or tensor.data.shape != tensors[0].data.shape
            ):
                raise MalformedRequest(
                    f"inputs[{position}].shape",
                    str(shape),
                    f"[rows, {', '.join(map(str, row))}] with 1 to {self._config.max_rows} rows, the same for all, "
                    "is needed",
                    Reason.WRONG_SHAPE,
                )
        # The kernel reads whole words: a body whose header was not padded is copied.
        return tuple(np.require(tensor.data, np.int64, ["A", "C", "W"]) for tensor in tensors)

    def _answered(self, request_id: str, answer: Answer, *, binary: bool) -> web.Response:
        header = {
            "model_name": self._config.name,
            "id": request_id,
            "parameters": {"epoch": self._config.epoch, "party": self._config.party},
        }
        tensors = [Tensor(*named) for named in zip(self._components, answer.components, strict=True)]
        if not binary:
            return _json(json_body=encode_json(header, tensors, "outputs"))
        length, chunks = encode(header, tensors, "outputs")
        return web.Response(body=b"".join(chunks), headers={HEADER_LENGTH: str(length), "Content-Type": BINARY})

    # --- the sharing job ---

    async def _architecture(self, request: web.BaseRequest, _caller: Identity) -> web.Response:
        body = await _body(request, _size(request, ARCHITECTURE_BYTES), self._config.request_timeout_s)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise MalformedRequest("body", "not JSON", "a JSON object is needed") from None
        return _json(dict(await self._host.set_architecture(document)))

    async def _shares(self, request: web.BaseRequest, _caller: Identity) -> web.Response:
        # Names are long where there are many weights: a header may be as large as the codec allows.
        size = _size(request, self._host.share_bytes() + ARCHITECTURE_BYTES)
        body = await _body(request, size, self._config.share_timeout_s)
        try:
            _, tensors = decode(memoryview(body), request.headers.get(HEADER_LENGTH))
            await self._host.load_shares(tensors)
        finally:
            np.frombuffer(body, np.uint8)[:] = 0
        return _json({"loaded": True})

    async def _status(self, _request: web.BaseRequest, _caller: Identity) -> web.Response:
        return _json(dict(self._host.status()))


@lru_cache(maxsize=256)
def _identity(names: tuple[tuple[str, str], ...]) -> Identity:
    return certified_identity({"subjectAltName": names})


def _forbidden(why: str) -> Refused:
    return Refused(Reason.FORBIDDEN, why)


def _json(document: Any = None, *, json_body: bytes | None = None, status: int = 200) -> web.Response:
    body = json.dumps(document).encode() if json_body is None else json_body
    return web.Response(body=body, status=status, headers={"Content-Type": JSON})


def _size(request: web.BaseRequest, most: int) -> int:
    """The size of a request's body; it has to be known before a byte of it is read."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise MalformedRequest("Content-Encoding", "shares do not compress", "send the body as it is")
    size = request.content_length
    if size is None:
        raise MalformedRequest("Content-Length", "missing", "send it")
    if size > most:
        raise Refused(Reason.TOO_LARGE, f"body: {size} bytes; at most {most} are taken here")
    return size


async def _body(request: web.BaseRequest, size: int, timeout_s: float) -> bytearray:
    """The body, in memory of its own that can be overwritten."""
    body = bytearray(size)
    view, got = memoryview(body), 0
    try:
        async with asyncio.timeout(timeout_s):
            while got < size:
                piece = await request.content.readany()
                if not piece:
                    raise MalformedRequest("body", f"ended after {got} bytes", f"{size} bytes were announced")
                view[got : got + len(piece)] = piece
                got += len(piece)
    except TimeoutError:
        raise Refused(Reason.EXPIRED, f"body: {got} of {size} bytes came within {timeout_s:g} s") from None
    return body
