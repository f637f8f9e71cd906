"""The cluster as the operator uses it: a few verbs on a few kinds, with plain JSON objects in and out.

Every call is bounded in time and says in types what went wrong. Nothing is decided here, and nothing is retried: the
reconciler comes again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException

from triveni.api.securemodel import API_VERSION

FIELD_MANAGER = "triveni"

CALL_S = 20.0
"""Seconds for one call; the API server itself gives up on most after 60."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, as the API server names it."""

    api_version: str
    kind: str
    plural: str

    @property
    def root(self) -> str:
        """The path of its API group."""
        return f"/api{'s' if '/' in self.api_version else ''}/{self.api_version}"


SECURE_MODELS = Kind(API_VERSION, "SecureModel", "securemodels")
PODS = Kind("v1", "Pod", "pods")
SERVICES = Kind("v1", "Service", "services")
SECRETS = Kind("v1", "Secret", "secrets")
NODES = Kind("v1", "Node", "nodes")
EVENTS = Kind("v1", "Event", "events")
JOBS = Kind("batch/v1", "Job", "jobs")
NETWORK_POLICIES = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
DISRUPTION_BUDGETS = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")

CHILDREN = (PODS, JOBS, SERVICES, SECRETS, NETWORK_POLICIES, DISRUPTION_BUDGETS)
"""Every kind of object that the operator makes for a SecureModel."""

_KINDS = {kind.kind: kind for kind in CHILDREN}
_KINDS["Lease"] = Kind("coordination.k8s.io/v1", "Lease", "leases")

METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def kind_of(document: Mapping[str, Any]) -> Kind:
    """The kind of an object that the operator makes; KeyError for any other."""
    return _KINDS[document["kind"]]


@dataclass(eq=False)
class ClusterError(Exception):
    """The API server did not do what was asked."""

    call: str
    status: int
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.call}: {self.status} {self.reason}: {self.message}"


class NotFound(ClusterError):
    """There is no such object, or its namespace is going away."""


class Conflict(ClusterError):
    """Somebody else was faster: the object exists already, or has changed since it was read."""


class Refused(ClusterError):
    """The request itself is not acceptable: by validation, by admission, by a quota, by missing rights."""


class Unavailable(ClusterError):
    """No answer, or one that says to come again."""


NAMESPACE_GOES = "NamespaceTerminating"
"""The cause with which the API server refuses (403) to create anything in a namespace that is being deleted."""

UNTYPED = "failed to create typed patch object"
"""How it refuses (500) to apply an object with a field that it does not know."""

_TYPES: Mapping[int, type[ClusterError]] = {400: Refused, 403: Refused, 404: NotFound, 409: Conflict, 422: Refused}


class Cluster:
    """A connection to the API server. Use it as an asynchronous context manager."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @classmethod
    async def connect(cls) -> Self:
        """From within a pod by its service account, from elsewhere by KUBECONFIG.

        Raises:
            kubernetes.aio.config.ConfigException: there is neither.
        """
        configuration = Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)
        return cls(ApiClient(configuration))

    @property
    def client(self) -> ApiClient:
        """The client itself, for what has an API of its own (the Lease)."""
        return self._client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        """One object; NotFound if there is none."""
        return _object(await self._call("GET", _path(kind, namespace, name)))

    async def list(self, kind: Kind, namespace: str, selector: str) -> list[Object]:
        """The objects that carry these labels. Of Secrets only the metadata: what they hold is nobody's business."""
        headers = {"Accept": METADATA_ONLY} if kind is SECRETS else {}
        answer = await self._call("GET", _path(kind, namespace), {"labelSelector": selector}, headers=headers)
        return [{**item, "kind": kind.kind, "apiVersion": kind.api_version} for item in answer["items"] or ()]

    async def count(self, kind: Kind, namespace: str | None) -> int:
        """About how many objects there are; NotFound if the API server does not know the kind."""
        answer = await self._call("GET", _path(kind, namespace), {"limit": "1"})
        return len(answer["items"] or ()) + int(answer["metadata"].get("remainingItemCount") or 0)

    async def create(self, document: Object) -> Object:
        """Create an object; Conflict if it exists, Refused if it has a field that the API server does not know."""
        path = _path(_KINDS[document["kind"]], document["metadata"]["namespace"])
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return _object(await self._call("POST", path, query, document))

    async def apply(self, document: Object) -> Object:
        """Server-side apply: create it, or make our fields of it as they should be, whoever has changed them."""
        metadata = document["metadata"]
        path = _path(_KINDS[document["kind"]], metadata["namespace"], metadata["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return _object(await self._call("PATCH", path, query, document, headers))

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Object) -> Object:
        """Merge a patch into an object that exists; NotFound if it does not."""
        headers = {"Content-Type": "application/merge-patch+json"}
        path = _path(kind, namespace, name)
        return _object(await self._call("PATCH", path, {"fieldManager": FIELD_MANAGER}, patch, headers))

    async def write_status(self, document: Object) -> Object:
        """Write the `status` of an object that was read; Conflict if it has changed since."""
        metadata = document["metadata"]
        path = _path(SECURE_MODELS, metadata["namespace"], metadata["name"]) + "/status"
        return _object(await self._call("PUT", path, {"fieldManager": FIELD_MANAGER}, document))

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete this very object, and what it owns, in the background; nothing happens if it is gone."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._call("DELETE", _path(kind, namespace, name), body=options)
        except (NotFound, Conflict):
            return

    async def post_event(self, event: Object) -> None:
        """Post an event."""
        await self._call("POST", _path(EVENTS, event["metadata"]["namespace"]), body=event)

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        call = f"{method} {path}"
        try:
            async with asyncio.timeout(CALL_S):
                request = await self._client.param_serialize(
                    method,
                    path,
                    query_params=list((query or {}).items()),
                    header_params={"Accept": "application/json", **(headers or {})},
                    body=body,
                    auth_settings=["BearerToken"],
                )
                response = await self._client.call_api(*request)
                data = await response.read()
        except ApiException as error:
            raise Unavailable(call, error.status or 0, error.reason or "", "") from None
        except TimeoutError:
            raise Unavailable(call, 0, "Timeout", f"no answer within {CALL_S:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(call, 0, type(error).__name__, "the API server cannot be reached") from None
        if response.status < 300:
            return json.loads(data)
        raise _error(call, response.status, data)


def _object(answer: Any) -> Object:
    assert isinstance(answer, dict)
    return answer


def _error(call: str, status: int, data: bytes) -> ClusterError:
    try:
        document = json.loads(data)
        reason, message = str(document.get("reason", "")), str(document.get("message", ""))
        causes = [cause.get("reason") for cause in (document.get("details") or {}).get("causes") or ()]
    except (ValueError, AttributeError):
        reason, message, causes = "", data[:200].decode(errors="replace"), []
    kind = NotFound if NAMESPACE_GOES in causes else _TYPES.get(status, Unavailable)
    if UNTYPED in message:
        kind = Refused
    return kind(call, status, reason, message)


def _path(kind: Kind, namespace: str | None, name: str | None = None) -> str:
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{kind.root}{place}/{kind.plural}" + (f"/{name}" if name else "")
