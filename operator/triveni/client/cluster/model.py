"""A SecureModel as a client in front of its cluster sees it: its connection, its worker pods, why it does not serve."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from triveni.client.cluster import standing
from triveni.client.cluster.api import MODELS, PODS, SECRETS, Api, Object
from triveni.client.cluster.errors import (
    NoCredentials,
    NoOperator,
    NoSuchModel,
    NotAllowed,
    NotProvisioned,
    NotServing,
)
from triveni.client.cluster.standing import WorkerPod
from triveni.client.connection import Connection
from triveni.client.errors import ClientError, InvalidConnection

CONNECTION_KEY = "connection.json"


class ClusterModel:
    """One SecureModel in one namespace."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name

    async def connection(self) -> Connection:
        """From the Secret for clients; the addresses in it are of use inside the cluster only.

        Raises:
            NoSuchModel, NoCredentials, NotProvisioned, QuotaReached: there is no such Secret.
            InvalidConnection: it does not hold what it should.
        """
        name = f"{self._name}-client"
        secret = await self._api.get(SECRETS, name)
        if secret is None:
            raise await self._without_secret()
        where = f"in Secret {self._namespace}/{name}"
        try:
            document = json.loads(base64.b64decode((secret.get("data") or {})[CONNECTION_KEY]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidConnection(where, CONNECTION_KEY, "it is missing or no JSON") from error
        return Connection.from_document(document, where)

    async def worker_pods(self, uid: str, epoch: int | None = None) -> dict[int, WorkerPod]:
        """Those of an epoch (None: the newest), by party, but not those of a deleted SecureModel of the same name."""
        selector = f"triveni.dev/model-uid={uid},app.kubernetes.io/component=worker"
        if epoch is not None:
            selector += f",triveni.dev/epoch={epoch}"
        return standing.newest_epoch(await self._api.select(PODS, selector))

    async def require_hope(self, uid: str) -> None:
        """To be called while there are no workers.

        Raises:
            QuotaReached, NoSuchModel: there will be none.
        """
        model = await self._model()
        if model is None:
            return
        if (reached := standing.quota_reached(model)) is not None:
            raise reached
        if model["metadata"]["uid"] != uid:
            raise NoSuchModel(self._name, self._namespace, "it is another one of the same name now: start again")

    async def why_not_serving(self, problem: ClientError, uid: str, tries: Mapping[int, str]) -> ClientError:
        """The client's problem, and what the cluster says about it; `tries` are problems of connecting, by party."""
        model = await self._model()
        why = standing.of_model(model) if model is not None else ""
        if not why:
            why = standing.of_pods(await self.worker_pods(uid))
            why += "".join(f"; port-forward to worker {party}: {text}" for party, text in sorted(tries.items()) if text)
        return NotServing(self._name, self._namespace, str(problem), why)

    async def _without_secret(self) -> ClientError:
        model = await self._model()
        if model is None:
            return NoCredentials(self._name, self._namespace)
        unseen = standing.unseen_for(model, datetime.now(UTC))
        if unseen is not None and unseen > standing.UNSEEN_S:
            return NoOperator(self._name, self._namespace, unseen)
        why = standing.of_model(model) or f"there is no Secret {self._name}-client"
        return standing.quota_reached(model) or NotProvisioned(self._name, self._namespace, why)

    async def _model(self) -> Object | None:
        """The SecureModel; None for somebody who may not look at it, which is fine."""
        try:
            model = await self._api.get(MODELS, self._name)
        except NotAllowed:
            return None
        if model is None:
            hint = f"see kubectl get securemodels -n {self._namespace}, or give another --namespace"
            raise NoSuchModel(self._name, self._namespace, hint)
        return model
