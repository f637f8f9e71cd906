"""From a SecureModel's name to workers that wait for their shares: the way of the owner who shares the model from here.

    async with reach_to_share(Target("mnist", namespace="team-a"), within=300) as entrance:
        ...  # hand over, with entrance.workers, entrance.credentials, entrance.identity

An epoch is shared once. So the owner first says that it will be shared (an annotation with the epoch's number); the
operator writes that down, from when on answers are possible, and only then makes the Secret that the workers know the
owner by. What is handed over, and how, is not known here.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from triveni.client.cluster import standing
from triveni.client.cluster.access import Access, Target
from triveni.client.cluster.api import MODELS, OWNER_RIGHTS, SECRETS, Api, Object
from triveni.client.cluster.errors import ApiFailed, ApiUnreachable, EpochOver, NoOperator, NoSuchModel, NotReadyInTime
from triveni.client.cluster.model import ClusterModel
from triveni.client.cluster.stage import EPOCH, SHARE, Stage, stage_of, waits_for
from triveni.client.cluster.stream import PodGone, PodStream
from triveni.client.cluster.tunnels import HOST, Tunnels
from triveni.client.errors import InvalidConnection
from triveni.identity.credentials import AUTHORITY, CERTIFICATE, KEY, Credentials
from triveni.identity.names import Identity

WORKER_PORT = 8443
"""The workers' port for clients, where whoever shares the model is let in by another certificate."""

LOOK_S = 0.5
"""How often the SecureModel is looked at."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where the three workers of one epoch take their shares. Its repr shows no key.

    Attributes:
        name, namespace: of the SecureModel.
        epoch: the number of the epoch, which is shared once.
        protocol: `spec.protocol`, which the workers were started for.
        workers: host and port on this machine, in the order of parties.
        identity: whom the workers take shares from; it names the epoch.
        credentials: those of this identity.
    """

    name: str
    namespace: str
    epoch: int
    protocol: str
    workers: tuple[tuple[str, int], tuple[str, int], tuple[str, int]]
    identity: Identity
    credentials: Credentials = field(repr=False)


@asynccontextmanager
async def reach_to_share(target: Target, *, within: float = 300.0) -> AsyncIterator[Entrance]:
    """Wait until the workers of the newest epoch wait for shares, tell the operator, and lead to them.

    The block is cancelled if the epoch ends meanwhile, and the reason is raised.

    Args:
        within: seconds until the workers must be ready for their shares.

    Raises:
        SharedAlready: the workers hold their shares; `end_epoch` makes way for a new epoch.
        NotReadyInTime, EpochOver: the epoch did not come so far, or did not last.
        ClientError: there is no use in waiting (see `errors`).
    """
    access = await Access.of(target)
    async with Api(access, target.name, OWNER_RIGHTS) as api:
        shown = await _admitted(api, access, target.name, within)
        model, credentials = ClusterModel(api, access.namespace, target.name), shown.credentials
        uid, epoch = shown.model["metadata"]["uid"], shown.epoch

        async def to_pod(party: int) -> PodStream:
            try:
                pod = (await model.worker_pods(uid, epoch)).get(party)
                if pod is None or not pod.is_running:
                    why = str(pod) if pod is not None else f"the pod of worker {party} is gone"
                    raise EpochOver(target.name, access.namespace, epoch, why)
                return await api.forward(pod.name, WORKER_PORT)
            except (ApiUnreachable, ApiFailed) as error:  # it answered before, and probably will again
                raise PodGone(str(error)) from error

        async with Tunnels(to_pod).opened() as (first, second, third):
            yield Entrance(
                target.name,
                access.namespace,
                epoch,
                shown.model["spec"].get("protocol", "ABY3"),
                ((HOST, first), (HOST, second), (HOST, third)),
                Identity.sharing_job(access.namespace, uid, epoch),
                credentials,
            )


@dataclass(frozen=True, slots=True)
class _Shown:
    """A SecureModel whose epoch may be shared now, and what this is done with."""

    model: Object
    epoch: int
    credentials: Credentials = field(repr=False)


async def _admitted(api: Api, access: Access, name: str, within: float) -> _Shown:
    """Wait until the epoch may be shared, and say that it will be. An API server that answered once may pause."""
    loop = asyncio.get_running_loop()
    started, answered = loop.time(), False
    while True:
        waited = loop.time() - started
        try:
            found = await _look(api, access, name)
            answered = True
        except (ApiUnreachable, ApiFailed):
            if not answered or waited > within:
                raise
        else:
            if isinstance(found, _Shown):
                return found
            stage, why = found
            if stage is Stage.UNSEEN and waited > min(standing.UNSEEN_S, within):
                raise NoOperator(name, access.namespace, waited)
            if waited > within:
                raise NotReadyInTime(name, access.namespace, within, why)
        await asyncio.sleep(LOOK_S)


async def _look(api: Api, access: Access, name: str) -> _Shown | tuple[Stage, str]:
    """Do what is to be done now; what the epoch is shared with, or how far it is and why not further."""
    model = await api.get(MODELS, name)
    if model is None:
        raise NoSuchModel(name, access.namespace, f"apply it, see kubectl get securemodels -n {access.namespace}")
    stage, epoch = stage_of(model)
    if stage is Stage.TO_BE_ASKED_FOR:
        await api.merge(MODELS, name, {"metadata": {"annotations": {SHARE: str(epoch)}}})
    elif stage is Stage.SHARING and (credentials := await _credentials(api, access, name, epoch)) is not None:
        return _Shown(model, epoch, credentials)
    return stage, waits_for(model)


async def _credentials(api: Api, access: Access, name: str, epoch: int) -> Credentials | None:
    """Those of the owner, from the Secret of this epoch; None if it is not there yet."""
    secret = await api.get(SECRETS, f"{name}-owner")
    if secret is None or (secret["metadata"].get("labels") or {}).get(EPOCH) != str(epoch):
        return None
    data = secret.get("data") or {}
    try:
        return Credentials(*(base64.b64decode(data[key], validate=True) for key in (CERTIFICATE, KEY, AUTHORITY)))
    except (KeyError, ValueError, TypeError) as error:
        where = f"in Secret {access.namespace}/{name}-owner"
        raise InvalidConnection(where, "credentials", f"{CERTIFICATE}, {KEY} and {AUTHORITY} are needed") from error
