"""The calls that are made to the API server: get, list, patch and delete objects, read a log, forward a port."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from triveni.client.cluster.access import Access
from triveni.client.cluster.errors import ApiFailed, ApiUnreachable, NotAllowed, NotAuthenticated, NotInstalled
from triveni.client.cluster.stream import SUBPROTOCOL, PodGone, PodStream
from triveni.identity.sockets import Sockets

CALL_S = 20.0

CLOSE_S = 1.0
"""How long the other end of a websocket may take to say goodbye."""

LONGEST_LINE = 2**20

MODELS = "apis/triveni.dev/v1alpha1", "securemodels"
SECRETS = "api/v1", "secrets"
PODS = "api/v1", "pods"

Object = Mapping[str, Any]
Kind = tuple[str, str]

FIELD_MANAGER = "triveni-owner"

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

CLIENT_RIGHTS = "get secrets (of the name {0}-client), list pods, get and create pods/portforward"

OWNER_RIGHTS = (
    "get, create, patch and delete securemodels, get secrets (of the names {0}-owner and {0}-client), list pods, "
    "get and create pods/portforward"
)


class Api:
    """An API server, on behalf of one SecureModel. Use it as an asynchronous context manager.

    `rights` are those that whoever uses it should have, `{0}` in the place of the SecureModel's name.
    """

    def __init__(self, access: Access, name: str, rights: str = CLIENT_RIGHTS) -> None:
        self._access = access
        self._rights = rights.format(name)
        self._sockets = Sockets()
        self._session = aiohttp.ClientSession(
            headers={"Authorization": access.token} if access.token else {},
            connector=aiohttp.TCPConnector(ssl=access.tls or True, socket_factory=self._sockets),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,  # for the proxy, as kubectl does
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await self._sockets.close()

    async def get(self, kind: Kind, name: str) -> Object | None:
        """An object; None if there is none.

        Raises:
            ApiUnreachable, NotAuthenticated, NotAllowed, ApiFailed: it is not known.
        """
        return await self._get(self._url(kind, name), f"get {kind[1]} {name}")

    async def select(self, kind: Kind, selector: str) -> list[Object]:
        """The objects with these labels; raises as `get`."""
        answer = await self._get(f"{self._url(kind)}?labelSelector={quote(selector)}", f"list {kind[1]}")
        return list((answer or {}).get("items") or ())

    async def apply(self, kind: Kind, name: str, document: Object) -> None:
        """Server-side apply; raises as `get`, ApiFailed too if there is no such kind or namespace."""
        url = f"{self._url(kind, name)}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict&force=true"
        call = f"create and patch {kind[1]} {name}"
        if await self._call("PATCH", url, call, document, APPLY) is None:
            raise NotInstalled(self._access.server)

    async def merge(self, kind: Kind, name: str, patch: Object) -> Object | None:
        """Merge a patch into an object: as it is then, None if there is none; raises as `get`."""
        url = f"{self._url(kind, name)}?fieldManager={FIELD_MANAGER}"
        return await self._call("PATCH", url, f"patch {kind[1]} {name}", patch, MERGE)

    async def delete(self, kind: Kind, name: str) -> bool:
        """Delete an object; False if there is none; raises as `get`."""
        return await self._call("DELETE", self._url(kind, name), f"delete {kind[1]} {name}") is not None

    async def all(self, kind: Kind, *, everywhere: bool = False) -> list[Object]:
        """The objects of the namespace, or of all; raises as `get`."""
        url = f"{self._access.server}/{kind[0]}/{kind[1]}" if everywhere else self._url(kind)
        try:
            answer = await self._get(url, f"list {kind[1]}")
        except NotAllowed as error:
            raise NotAllowed(error.needed, None if everywhere else error.namespace, error.rights) from None
        return list((answer or {}).get("items") or ())

    async def log(self, pod: str, *, follow: bool, tail: int) -> AsyncIterator[str]:
        """The last lines of a pod's log, and with `follow` all that come until the pod ends.

        Nothing of a pod that has no log (yet, or any more); raises as `get`.
        """
        needed = "get pods/log"
        url = f"{self._url(PODS, pod)}/log?tailLines={tail}{'&follow=true' if follow else ''}"
        timeout = aiohttp.ClientTimeout(total=None if follow else CALL_S, sock_connect=CALL_S)
        try:
            async with self._session.get(
                url,
                timeout=timeout,
                proxy=self._access.proxy,
                server_hostname=self._access.server_name,
                allow_redirects=False,
            ) as response:
                self._require_allowed(response.status, needed)
                if response.status == 200:
                    rest = b""
                    async for piece in response.content.iter_any():
                        *lines, rest = (rest + piece).split(b"\n")
                        for line in lines:
                            yield line.decode(errors="replace")
                        rest = rest[-LONGEST_LINE:]
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    async def forward(self, pod: str, port: int) -> PodStream:
        """A connection to a port of a pod.

        Raises:
            PodGone: there is none at this moment.
            ApiUnreachable, NotAuthenticated, NotAllowed: there will be none.
        """
        needed = "get and create pods/portforward"
        url = f"{self._url(PODS, pod)}/portforward?ports={port}"
        try:
            async with asyncio.timeout(CALL_S):
                socket = await self._session.ws_connect(
                    url,
                    protocols=[SUBPROTOCOL],
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                    proxy=self._access.proxy,
                    server_hostname=self._access.server_name,
                )
        except aiohttp.WSServerHandshakeError as error:
            self._require_allowed(error.status, needed)
            raise PodGone(f"{pod}: the API server answered {error.status}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error
        return PodStream(socket)

    def _url(self, kind: Kind, name: str | None = None) -> str:
        group, plural = kind
        url = f"{self._access.server}/{group}/namespaces/{quote(self._access.namespace, safe='')}/{plural}"
        return url if name is None else f"{url}/{quote(name, safe='')}"

    async def _get(self, url: str, needed: str) -> Object | None:
        return await self._call("GET", url, needed)

    async def _call(
        self, method: str, url: str, needed: str, body: Object | None = None, kind: str = MERGE
    ) -> Object | None:
        try:
            async with asyncio.timeout(CALL_S):
                async with self._session.request(
                    method,
                    url,
                    data=None if body is None else json.dumps(body).encode(),
                    headers={"Accept": "application/json"} | ({} if body is None else {"Content-Type": kind}),
                    proxy=self._access.proxy,
                    server_hostname=self._access.server_name,
                    allow_redirects=False,
                ) as response:
                    status, answer = response.status, await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error
        self._require_allowed(status, needed)
        try:
            document = json.loads(answer)
        except (ValueError, RecursionError):
            document = None
        if status == 404 and (kind is not APPLY or "namespaces" not in str(document)):
            return None
        if status not in (200, 201, 202) or not isinstance(document, dict):
            message = document.get("message") if isinstance(document, dict) else "no JSON object"
            raise ApiFailed(needed, status, str(message)[:200])
        return document

    def _require_allowed(self, status: int, needed: str) -> None:
        if status == 401:
            raise NotAuthenticated(self._access.context)
        if status == 403:
            raise NotAllowed(needed, self._access.namespace, self._rights)

    def _unreachable(self, error: Exception) -> ApiUnreachable:
        return ApiUnreachable(self._access.server, _problem(error))


def _problem(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = error.certificate_error
        return f"its certificate is not trusted: {getattr(reason, 'verify_message', None) or reason}"
    if isinstance(error, TimeoutError):
        return f"no answer within {CALL_S:g} s"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or type(error).__name__}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower() if error.errno > 0 else "no such host"
    return type(error).__name__
