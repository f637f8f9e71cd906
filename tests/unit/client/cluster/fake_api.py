"""A small API server on loopback: Secrets, pods, SecureModels and port-forward to fake workers, with RBAC of a kind.

It speaks plain HTTP, which a kubeconfig may name; what goes through it to the workers is their TLS all the same.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.unit.client.three_workers import NAME, UID, Workers

TOKEN = "let-me-in"
NAMESPACE = "team-a"

SUBPROTOCOL = "v4.channel.k8s.io"


def pod(party: int, epoch: int = 1, **change: Any) -> dict[str, Any]:
    """A worker's pod as the API server shows it. `phase`, `reason`, `leaving` and `uid` may be changed."""
    labels = {
        "triveni.dev/model": NAME,
        "triveni.dev/model-uid": change.get("uid", UID),
        "triveni.dev/epoch": str(epoch),
        "triveni.dev/party": str(party),
        "app.kubernetes.io/component": "worker",
    }
    metadata = {"name": f"{NAME}-e{epoch}-worker-{party}", "labels": labels}
    if change.get("leaving"):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status: dict[str, Any] = {"phase": change.get("phase", "Running")}
    if "reason" in change:
        status["containerStatuses"] = [{"state": {"waiting": {"reason": change["reason"]}}}]
    return {"metadata": metadata, "status": status}


def connection_document(workers: Workers) -> dict[str, Any]:
    """What the operator puts into the Secret: addresses that mean nothing outside the cluster."""
    credentials = workers.credentials
    pem = {"certificate": credentials.certificate, "key": credentials.key, "ca": credentials.ca}
    return {
        "name": NAME,
        "namespace": "default",
        "uid": UID,
        "workers": [f"https://10.96.0.{party + 1}:8443" for party in range(3)],
        "credentials": {name: text.decode() for name, text in pem.items()},
    }


def model(**conditions: tuple[str, str, str]) -> dict[str, Any]:
    """A SecureModel with conditions, each a status, reason and message."""
    shown = [
        {"type": kind, "status": status, "reason": reason, "message": message}
        for kind, (status, reason, message) in conditions.items()
    ]
    return {"metadata": {"name": NAME, "uid": UID}, "status": {"conditions": shown}}


QUOTA_REACHED = model(QuotaReached=("True", "QuotaReached", "all are charged")) | {
    "status": {
        "conditions": [{"type": "QuotaReached", "status": "True", "reason": "QuotaReached", "message": ""}],
        "served": 3,
        "quota": {"charged": 3, "remaining": 0},
    }
}


@dataclass
class FakeApi:
    """What is there, and what whoever has the token may not do. `ports` says where each pod's process listens.

    `changed` is called with the SecureModel each time that it was changed, to play the operator.
    """

    namespace: str = NAMESPACE
    owner_secret: dict[str, Any] | None = None
    changed: Callable[[dict[str, Any]], None] = lambda model: None
    applied: list[dict[str, Any]] = field(default_factory=list)
    secret: dict[str, Any] | None = None
    model: dict[str, Any] | None = field(default_factory=model)
    pods: list[dict[str, Any]] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    logs: dict[str, list[str]] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    failure: str | None = None
    forwards: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def serve(self, workers: Workers, epoch: int = 1) -> None:
        """Three running pods, which lead to these workers, and the Secret."""
        self.secret = {"connection.json": json.dumps(connection_document(workers))}
        self.pods += [pod(party, epoch) for party in range(3)]
        self.ports |= {f"{NAME}-e{epoch}-worker-{worker.party}": worker.port for worker in workers.parties}

    def kubeconfig(self, path: Path, **context: Any) -> Path:
        """Write a kubeconfig for it."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE} | context}],
            "clusters": [{"name": "c", "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
        }
        path.write_text(json.dumps(document))  # which is YAML too
        return path

    # --- the server ---

    def _require(self, request: web.Request, verb: str) -> None:
        self.asked.append(verb)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise web.HTTPUnauthorized
        if self.failure is not None:
            text = json.dumps({"kind": "Status", "message": self.failure})
            raise web.HTTPInternalServerError(text=text, content_type="application/json")
        if verb in self.forbidden or request.match_info["namespace"] != self.namespace:
            raise web.HTTPForbidden

    async def _secret(self, request: web.Request) -> web.Response:
        self._require(request, "get secrets")
        if self.owner_secret is not None and request.match_info["name"] == f"{NAME}-owner":
            return web.json_response(self.owner_secret)
        if self.secret is None or request.match_info["name"] != f"{NAME}-client":
            raise web.HTTPNotFound
        data = {key: base64.b64encode(value.encode()).decode() for key, value in self.secret.items()}
        return web.json_response({"data": data})

    async def _model(self, request: web.Request) -> web.Response:
        self._require(request, "get securemodels")
        if self.model is None or request.match_info["name"] != NAME:
            raise web.HTTPNotFound
        return web.json_response(self.model)

    async def _change(self, request: web.Request) -> web.Response:
        self._require(request, "patch securemodels")
        document = json.loads(await request.read())
        if request.content_type == "application/apply-patch+yaml":
            assert request.query["force"] == "true"
            self.applied.append(document)
            self.model = document
            return web.json_response(document, status=201)
        assert request.content_type == "application/merge-patch+json"
        if self.model is None:
            raise web.HTTPNotFound
        for section, fields in document.items():
            self.model.setdefault(section, {}).update(fields)
        self.changed(self.model)
        return web.json_response(self.model)

    async def _delete(self, request: web.Request) -> web.Response:
        self._require(request, "delete securemodels")
        if self.model is None:
            raise web.HTTPNotFound
        self.model = None
        return web.json_response({"kind": "Status", "status": "Success"})

    async def _models(self, request: web.Request) -> web.Response:
        if "namespace" in request.match_info:
            self._require(request, "list securemodels")
        elif "list securemodels everywhere" in self.forbidden:
            raise web.HTTPForbidden
        return web.json_response({"items": [] if self.model is None else [self.model]})

    async def _log(self, request: web.Request) -> web.StreamResponse:
        """All lines; who follows gets those that are added, until the pod is gone."""
        self._require(request, "get pods/log")
        name = request.match_info["name"]
        if name not in self.logs:
            raise web.HTTPBadRequest  # as of a container that waits to start
        response = web.StreamResponse()
        await response.prepare(request)
        sent = max(0, len(self.logs[name]) - int(request.query["tailLines"]))
        while True:
            for line in self.logs[name][sent:]:
                await response.write(f"{line}\n".encode())
            sent = len(self.logs[name])
            if request.query.get("follow") != "true" or not any(p["metadata"]["name"] == name for p in self.pods):
                return response
            await asyncio.sleep(0.01)

    async def _pods(self, request: web.Request) -> web.Response:
        self._require(request, "list pods")
        wanted = dict(label.split("=") for label in request.query["labelSelector"].split(","))
        items = [one for one in self.pods if wanted.items() <= one["metadata"]["labels"].items()]
        return web.json_response({"items": items})

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        self._require(request, "get pods/portforward")
        name = request.match_info["name"]
        assert request.query["ports"] == "8443"
        if not any(one["metadata"]["name"] == name for one in self.pods):
            raise web.HTTPNotFound
        self.forwards.append(name)
        socket = web.WebSocketResponse(protocols=[SUBPROTOCOL])
        await socket.prepare(request)
        assert socket.ws_protocol == SUBPROTOCOL
        for channel in (0, 1):
            await socket.send_bytes(bytes([channel]) + (8443).to_bytes(2, "little"))
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[name])
        except (OSError, KeyError):
            await socket.send_bytes(b"\1error forwarding port 8443 to pod: connection refused")
            await socket.close()
            return socket

        async def down() -> None:
            while data := await reader.read(1 << 15):
                await socket.send_bytes(b"\0" + data)
            await socket.close()

        carrying = asyncio.ensure_future(down())
        try:
            async for message in socket:
                assert message.type is aiohttp.WSMsgType.BINARY
                assert message.data[0] == 0
                writer.write(message.data[1:])
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
        return socket


@asynccontextmanager
async def fake_api(*, definition: bool = True, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeApi]:
    """Serving until the end of the block; without the `definition`, no SecureModels are known."""
    api = FakeApi()
    app = web.Application()
    core, own = "/api/v1/namespaces/{namespace}", "/apis/triveni.dev/v1alpha1/namespaces/{namespace}"
    app.add_routes(
        [
            web.get(f"{core}/secrets/{{name}}", api._secret),
            web.get(f"{core}/pods", api._pods),
            web.get(f"{core}/pods/{{name}}/portforward", api._forward),
            web.get(f"{core}/pods/{{name}}/log", api._log),
            web.get(f"{own}/securemodels", api._models),
            web.get("/apis/triveni.dev/v1alpha1/securemodels", api._models),
        ]
    )
    if definition:
        one = f"{own}/securemodels/{{name}}"
        app.add_routes([web.get(one, api._model), web.patch(one, api._change), web.delete(one, api._delete)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        api.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
        yield api
    finally:
        await runner.cleanup()
