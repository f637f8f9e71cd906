"""What the owner of a model does to its SecureModel: apply it, delete it, end its epoch to share the model anew."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from triveni.api.securemodel import API_VERSION, KIND
from triveni.client.cluster.access import Access, Target
from triveni.client.cluster.api import MODELS, OWNER_RIGHTS, Api
from triveni.client.cluster.errors import NotReadyInTime
from triveni.client.cluster.stage import waits_for

LOOK_S = 0.5


async def apply_model(target: Target, spec: Mapping[str, Any]) -> None:
    """Make the SecureModel as it should be: `spec` in wire names, as it stands in a manifest.

    Raises:
        NotInstalled: the cluster does not know what a SecureModel is.
        ApiFailed: the API server does not take it, and says why.
        ClientError: it cannot be reached or does not allow it (see `errors`).
    """
    access = await Access.of(target)
    metadata = {"name": target.name, "namespace": access.namespace}
    document = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": dict(spec)}
    async with Api(access, target.name, OWNER_RIGHTS) as api:
        await api.apply(MODELS, target.name, document)


async def delete_model(target: Target) -> bool:
    """Delete the SecureModel, and with it all that belongs to it; False if there is none. Raises as `apply_model`."""
    async with Api(await Access.of(target), target.name, OWNER_RIGHTS) as api:
        return await api.delete(MODELS, target.name)


async def end_epoch(target: Target, *, within: float = 120.0) -> None:
    """Have the workers erase their shares, so that the next epoch can be shared: suspend, wait for it, resume.

    Raises:
        NotReadyInTime: the epoch did not end so soon; the SecureModel stays suspended.
        ClientError: as `apply_model`.
    """
    access = await Access.of(target)
    async with Api(access, target.name, OWNER_RIGHTS) as api:
        model = await api.merge(MODELS, target.name, {"spec": {"suspend": True}})
        try:
            async with asyncio.timeout(within):
                while model is not None and not _has_ended(model):
                    await asyncio.sleep(LOOK_S)
                    model = await api.get(MODELS, target.name)
        except TimeoutError as error:
            why = waits_for(model) if model is not None else ""
            raise NotReadyInTime(target.name, access.namespace, within, why) from error
        await api.merge(MODELS, target.name, {"spec": {"suspend": False}})


def _has_ended(model: Mapping[str, Any]) -> bool:
    status = model.get("status") or {}
    phase = (status.get("epoch") or {}).get("phase")
    return status.get("observedGeneration") == model["metadata"].get("generation") and phase in (None, "Ended")
