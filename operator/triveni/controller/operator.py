"""The kopf operator: what it watches, and who is told. The handlers do nothing but pass on names.

kopf watches and reconnects; what is to be done is decided level-triggered, by the reconciler. So no handler keeps state
in annotations, and no SecureModel gets a finalizer: it can be deleted when no operator lives any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import kopf

from triveni.api.securemodel import API_GROUP, API_VERSION
from triveni.controller.cluster import CHILDREN, PODS, SECURE_MODELS, Cluster, ClusterError, Kind, NotFound
from triveni.controller.logs import Log
from triveni.controller.objects import names
from triveni.controller.reconciler import Reconciler, key_of
from triveni.controller.workqueue import Key

CRD_PAUSE_S = 2.0

WATCH_S = 300
"""Seconds until a watch is renewed: one that was cut without a word is found after that time at the latest."""

log = Log(__name__)


async def operate(cluster: Cluster, reconciler: Reconciler, namespaces: Sequence[str]) -> None:
    """Watch and reconcile until cancelled, or until a signal ends the process; all namespaces if none is named."""
    await _definition(cluster, namespaces)
    working = asyncio.create_task(reconciler.run())
    watching = asyncio.create_task(
        kopf.operator(
            registry=handlers(reconciler),
            settings=settings(),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
        )
    )
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.wait((working, watching))
    for task in (working, watching):
        if not task.cancelled():
            task.result()


def handlers(reconciler: Reconciler) -> kopf.OperatorRegistry:
    """All handlers, in a registry of their own."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(*_selector(SECURE_MODELS), registry=registry)
    async def on_secure_model(namespace: str | None, name: str | None, **_: Any) -> None:
        if namespace and name:
            reconciler.add(Key(namespace, name))

    async def on_child(namespace: str | None, body: kopf.Body, event: kopf.RawEvent, resource: Any, **_: Any) -> None:
        if resource.plural == PODS.plural and event["type"] == "DELETED":
            reconciler.departed.remember(dict(body))
        key = key_of(body.metadata.labels, namespace) if namespace else None
        if key is not None:
            reconciler.add(key)

    for kind in CHILDREN:
        kopf.on.event(*_selector(kind), registry=registry, id=f"on_{kind.plural}")(on_child)
    return registry


def settings() -> kopf.OperatorSettings:
    """kopf's settings: of other people's objects it sees nothing, and it writes nothing."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.watching.server_timeout = WATCH_S
    chosen.watching.reconnect_backoff = 0.5
    for kind in CHILDREN:
        chosen.watching.label_selectors[kind.plural] = names.query(names.MANAGED)
    return chosen


def _selector(kind: Kind) -> tuple[str, str, str]:
    group, _, version = kind.api_version.rpartition("/")
    return group, version, kind.plural


async def _definition(cluster: Cluster, namespaces: Sequence[str]) -> None:
    """Wait until the cluster knows what a SecureModel is."""
    told = False
    while True:
        try:
            await cluster.count(SECURE_MODELS, namespaces[0] if namespaces else None)
        except NotFound:
            if not told:
                log.error("the cluster has no SecureModels: apply the custom resource definition", kind=API_VERSION)
            told = True
        except ClusterError as error:
            log.warning("SecureModels cannot be listed", detail=str(error))
        else:
            return
        await asyncio.sleep(CRD_PAUSE_S)


assert SECURE_MODELS.api_version.startswith(API_GROUP)
