"""Makes what a SecureModel and its epoch need and the cluster does not have, and repairs what somebody changed.

The order matters: addresses before certificates, policies before the pods that they close in, pods before the
credentials with which the model is shared and the sharing job. Everything may have been done before, in part or in
whole, by an operator that was killed; what is there and right is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes

from triveni.api.securemodel import SecureModel
from triveni.api.status import EpochStatus, Phase, time_of
from triveni.controller import objects
from triveni.controller.cluster import PODS, SECRETS, Cluster, Conflict, NotFound, Object, kind_of
from triveni.controller.objects import ClusterIPs, Settings, names
from triveni.controller.observed import Observed, Raw
from triveni.identity.authority import RENEW_AFTER, Authority
from triveni.identity.names import PARTIES, Identity

AUTHORITY_ANNOTATION = "triveni.dev/authority"
"""On every Secret with a certificate: the fingerprint of the authority that it comes from."""

ADDRESSES_ANNOTATION = "triveni.dev/addresses"
"""On the clients' Secret: the addresses in its connection file."""


SELECTORS = frozenset({"selector", "podSelector"})
"""Fields of Services, NetworkPolicies and PodDisruptionBudgets that say which pods are meant."""


def fingerprint(authority: Authority) -> str:
    """SHA-256 of the authority's certificate, in hexadecimal."""
    return authority.certificate.fingerprint(hashes.SHA256()).hex()


def standing_authority(model: SecureModel, seen: Observed) -> str | None:
    """The fingerprint of the authority whose Secret stands in the cluster; None if there is none."""
    secret = seen.children.get(("Secret", names.authority_secret(model)))
    annotations = (secret or {}).get("metadata", {}).get("annotations") or {}
    value = annotations.get(AUTHORITY_ANNOTATION)
    return str(value) if value else None


def drifted(desired: Any, found: Any) -> bool:
    """Whether an object in the cluster is not as desired.

    Fields that are there without being desired are no difference: defaults, the status, labels of others. Below a
    selector and inside a list they are: there the API server adds nothing, and one field more may let in everybody.
    """
    if not isinstance(desired, Mapping):
        return bool(desired != found) if desired else bool(found)
    if not isinstance(found, Mapping):
        return True
    return any(
        found.get(key) != value if key in SELECTORS else drifted(value, found.get(key))
        for key, value in desired.items()
    )


class Provision:
    """Makes the objects of one SecureModel. One use, over one observation."""

    def __init__(self, cluster: Cluster, settings: Settings, model: SecureModel, seen: Observed, now: datetime) -> None:
        self._cluster, self._settings, self._model, self._seen, self._now = cluster, settings, model, seen, now
        self.made = 0
        self.mended: list[str] = []
        """What was missing, or not as it should be, and was put right; in a new epoch all is missing at first."""

    async def make(self, epoch: EpochStatus) -> None:
        """Make all that is missing for this epoch, as far as its phase allows it.

        Raises:
            ClusterError: the API server does not do it; what was made until then stays.
            DamagedAuthority: the authority's Secret cannot be used.
        """
        authority = await self._authority()
        addresses = await self._services(epoch.number)
        for wanted in (*objects.network_policies(self._model, self._settings), objects.disruption_budget(self._model)):
            await self._apply(wanted)
        await self._client_secret(authority, addresses)
        await self._epoch_secrets(authority, epoch, addresses)
        await self._pods(epoch)
        if epoch.phase is Phase.SHARING:
            await self._sharing(authority, epoch.number, addresses)

    async def _authority(self) -> Authority:
        name, namespace = names.authority_secret(self._model), self._model.metadata.namespace
        if standing_authority(self._model, self._seen) is not None:
            return objects.authority_of(await self._cluster.get(SECRETS, name, namespace))
        authority = Authority.create(namespace, names.uid(self._model))
        secret = _annotated(
            objects.authority_secret(self._model, authority), {AUTHORITY_ANNOTATION: fingerprint(authority)}
        )
        await self._cluster.create(secret)
        self.made += 1
        return authority

    async def _services(self, epoch: int) -> ClusterIPs:
        first, second, third = [
            str((await self._apply(service))["spec"]["clusterIP"]) for service in objects.services(self._model, epoch)
        ]
        return first, second, third

    async def _client_secret(self, authority: Authority, addresses: ClusterIPs) -> None:
        name = names.client_secret(self._model)
        marks = {AUTHORITY_ANNOTATION: fingerprint(authority), ADDRESSES_ANNOTATION: ",".join(addresses)}
        found = self._found("Secret", name)
        if found is not None:
            fresh = self._now - time_of(found["metadata"]["creationTimestamp"]) < RENEW_AFTER
            if fresh and not drifted(marks, found["metadata"].get("annotations")):
                return
            await self._cluster.delete(SECRETS, self._model.metadata.namespace, name, found["metadata"]["uid"])
        identity = Identity.of_client(authority.namespace, authority.uid, names.CLIENT_NAME)
        secret = objects.client_secret(self._model, authority.issue(identity), addresses)
        await self._cluster.create(_annotated(secret, marks))
        self.made += 1
        if found is None:
            self._mended(secret, found)

    async def _epoch_secrets(self, authority: Authority, epoch: EpochStatus, addresses: ClusterIPs) -> None:
        number, marks = epoch.number, {AUTHORITY_ANNOTATION: fingerprint(authority)}
        namespace, uid = authority.namespace, authority.uid
        for party in PARTIES:
            if self._found("Secret", names.worker(self._model, number, party)) is None:
                credentials = authority.issue(Identity.worker(namespace, uid, number, party))
                secret = objects.worker_secret(self._model, number, epoch.grant, party, credentials, addresses)
                await self._create(_annotated(secret, marks))
                self._mended(secret, None)

    async def _sharing(self, authority: Authority, epoch: int, addresses: ClusterIPs) -> None:
        """The credentials with which the model is shared, and the job if it does that.

        Nobody has them before the model may be shared.
        """
        owners = objects.is_owners(self._model)
        name = names.owner_secret(self._model) if owners else names.sharing(self._model, epoch)
        found = self._found("Secret", name)
        if found is not None and found["metadata"]["labels"].get(names.EPOCH) != str(epoch):  # the owner's, of before
            await remove(self._cluster, found)
            found = None
        if found is None:
            credentials = authority.issue(Identity.sharing_job(authority.namespace, authority.uid, epoch))
            secret = objects.sharing_secret(self._model, epoch, credentials)
            await self._cluster.create(_annotated(secret, {AUTHORITY_ANNOTATION: fingerprint(authority)}))
            self.made += 1
        if not owners:
            await self._create(objects.sharing_job(self._model, epoch, addresses, self._settings))

    async def _pods(self, epoch: EpochStatus) -> None:
        for party in PARTIES:
            pod = objects.worker_pod(self._model, epoch.number, party, self._settings)
            found = self._found("Pod", pod["metadata"]["name"])
            if found is None:
                if epoch.phase is Phase.STARTING:
                    await self._create(pod)
            elif drifted(_identity(pod), found):
                # Labels decide which policies close a pod in. A merge never creates a pod, as applying one would.
                await self._merge_identity(pod)

    async def _merge_identity(self, pod: Object) -> None:
        metadata = pod["metadata"]
        try:
            await self._cluster.merge(PODS, metadata["namespace"], metadata["name"], _identity(pod))
        except NotFound:
            return
        self.made += 1
        self._mended(pod, pod)

    async def _apply(self, wanted: Object) -> Raw:
        """Apply an object that lives through epochs, unless it stands as it should."""
        found = self._found(wanted["kind"], wanted["metadata"]["name"])
        if found is not None and not drifted(wanted, found):
            return found
        applied = await self._cluster.apply(wanted)
        if not drifted(wanted, applied):  # else it stays as it is: a port that somebody added to a Service does
            self.made += 1
            self._mended(wanted, found)
        return applied

    async def _create(self, wanted: Object) -> None:
        """Create an object of an epoch, unless it exists."""
        if self._found(wanted["kind"], wanted["metadata"]["name"]) is not None:
            return
        try:
            await self._cluster.create(wanted)
        except Conflict:
            return
        self.made += 1

    def _mended(self, wanted: Object, found: Raw | None) -> None:
        what = "was gone and is made again" if found is None else "was changed and is put right"
        self.mended.append(f"{wanted['kind']} {wanted['metadata']['name']} {what}")

    def _found(self, kind: str, name: str) -> Raw | None:
        return self._seen.children.get((kind, name))


async def tell_to_end(cluster: Cluster, namespace: str, pod: str) -> None:
    """Have a worker end as by SIGTERM, by giving its pod a deadline that has passed: so the pod stays, to be read.

    A pod's `activeDeadlineSeconds` is one of the few fields that may be set while it runs.
    """
    with suppress(NotFound):
        await cluster.merge(PODS, namespace, pod, {"spec": {"activeDeadlineSeconds": 1}})


async def remove(cluster: Cluster, raw: Raw) -> None:
    """Delete an object that was observed, and no other that has its name by now."""
    metadata = raw["metadata"]
    if "deletionTimestamp" not in metadata:
        await cluster.delete(kind_of(raw), metadata["namespace"], metadata["name"], metadata["uid"])


def _annotated(document: Object, annotations: Mapping[str, str]) -> Object:
    return document | {"metadata": document["metadata"] | {"annotations": dict(annotations)}}


def _identity(document: Object) -> Object:
    metadata = document["metadata"]
    return {"metadata": {"labels": metadata["labels"], "ownerReferences": metadata["ownerReferences"]}}
