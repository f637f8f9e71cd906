"""From a SecureModel's name to a connection that works on this machine, for as long as a block lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from triveni.client.cluster.access import Access, Target
from triveni.client.cluster.api import Api
from triveni.client.cluster.errors import ApiFailed, ApiUnreachable
from triveni.client.cluster.model import ClusterModel
from triveni.client.cluster.stream import PodGone, PodStream
from triveni.client.cluster.tunnels import HOST, Tunnels
from triveni.client.connection import Connection
from triveni.client.errors import WorkersUnreachable

WORKER_PORT = 8443


@asynccontextmanager
async def look(target: Target, rights: str) -> AsyncIterator[tuple[Api, Access]]:
    """The API server, to be read only; `rights` as in `Api`.

    Raises:
        KubeconfigUnusable: there is no way to it.
    """
    access = await Access.of(target)
    async with Api(access, target.name, rights) as api:
        yield api, access


@asynccontextmanager
async def reach(target: Target) -> AsyncIterator[Connection]:
    """A connection by way of the API server.

    It survives the end of an epoch: whoever connects next gets to the pods of the following one. The block is cancelled
    once there is no use in waiting for workers, and the reason is raised.

    Raises:
        ClientError: the SecureModel cannot be reached (see `errors`); in place of WorkersUnreachable, NotServing with
            what the cluster says.
    """
    access = await Access.of(target)
    async with Api(access, target.name) as api:
        model = ClusterModel(api, access.namespace, target.name)
        connection = await model.connection()
        await model.worker_pods(connection.uid)  # whoever may not list pods is told now

        async def to_pod(party: int) -> PodStream:
            try:
                pod = (await model.worker_pods(connection.uid)).get(party)
                if pod is not None and pod.is_running:
                    return await api.forward(pod.name, WORKER_PORT)
                await model.require_hope(connection.uid)
            except (ApiUnreachable, ApiFailed) as error:  # it answered before, and probably will again
                raise PodGone(str(error)) from error
            raise PodGone

        tunnels = Tunnels(to_pod)
        try:
            async with tunnels.opened() as ports:
                first, second, third = (f"https://{HOST}:{port}" for port in ports)
                yield replace(connection, workers=(first, second, third))
        except WorkersUnreachable as error:
            raise await model.why_not_serving(error, connection.uid, tunnels.problems) from error
