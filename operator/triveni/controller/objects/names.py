"""What the objects of one SecureModel are called, and the labels by which they are found again.

Nobody else puts a name together. What lasts for the life of the SecureModel has its name; what belongs to an epoch has
the epoch in it, so that two epochs never share an object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum

from triveni.api.securemodel import API_GROUP, SecureModel

MODEL = f"{API_GROUP}/model"
MODEL_UID = f"{API_GROUP}/model-uid"
EPOCH = f"{API_GROUP}/epoch"
PARTY = f"{API_GROUP}/party"
CLIENT = f"{API_GROUP}/client"
"""A pod of the same namespace with this label, its value the name of the SecureModel, is let in to the workers."""

MANAGED = {"app.kubernetes.io/managed-by": "triveni-operator"}
"""On every object that the operator makes, and on no other: by this it watches them."""

COMPONENT = "app.kubernetes.io/component"

SHARE = f"{API_GROUP}/share"
"""Annotation on a SecureModel whose owner shares the model: the number of the epoch that the owner is about to share it
in. Until then nobody can hold a share of that epoch."""

CLIENT_NAME = "client"
"""The name in the client's certificate."""

LONGEST = 63
"""Characters in a label's value, which a Job's name becomes. Of a longer name of a pod, the host name is cut off."""

_LONGEST_ENDING = len("-e999999999-worker-0")


class Component(StrEnum):
    """What an object is a part of."""

    WORKER = "worker"
    SHARING = "sharing"
    NETWORK = "network"
    AUTHORITY = "authority"
    CLIENT = "client"


def uid(model: SecureModel) -> str:
    """The uid that the API server gave it; only objects of a SecureModel that is in a cluster are built."""
    assert model.metadata.uid
    return model.metadata.uid


# --- names --------------------------------------------------------------------------------------------------------


def authority_secret(model: SecureModel) -> str:
    """The Secret with the certificate and key of the authority."""
    return f"{model.metadata.name}-ca"


def client_secret(model: SecureModel) -> str:
    """The Secret with which a client reaches the workers."""
    return f"{model.metadata.name}-client"


def owner_secret(model: SecureModel) -> str:
    """The Secret with which the owner hands out shares, a new one in each epoch.

    It has the same name in all of them, so that a Role can be for this Secret and no other.
    """
    return f"{model.metadata.name}-owner"


def service(model: SecureModel, party: int) -> str:
    """The Service in front of one worker, the same in all epochs."""
    return f"{model.metadata.name}-worker-{party}"


def workers_policy(model: SecureModel) -> str:
    """The NetworkPolicy of the workers."""
    return f"{model.metadata.name}-workers"


def sharing_policy(model: SecureModel) -> str:
    """The NetworkPolicy of the sharing job."""
    return f"{model.metadata.name}-sharing"


def disruption_budget(model: SecureModel) -> str:
    """The PodDisruptionBudget of the workers."""
    return f"{model.metadata.name}-workers"


def worker(model: SecureModel, epoch: int, party: int) -> str:
    """The pod of one worker of an epoch, and its Secret."""
    return f"{_stem(model)}-e{epoch}-worker-{party}"


def sharing(model: SecureModel, epoch: int) -> str:
    """The sharing job of an epoch, and the job's Secret."""
    return f"{_stem(model)}-e{epoch}-sharing"


def _stem(model: SecureModel) -> str:
    """The name, with a digest in place of its end if an epoch of nine digits would make it too long.

    It depends on the name alone, so that the objects of all epochs begin alike.
    """
    name = model.metadata.name
    room = LONGEST - _LONGEST_ENDING
    if len(name) <= room:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: room - len(digest) - 1].rstrip('-')}-{digest}"


# --- labels -------------------------------------------------------------------------------------------------------


def labels(
    model: SecureModel, component: Component, epoch: int | None = None, party: int | None = None
) -> dict[str, str]:
    """All labels of an object; with an epoch if it ends with one, with a party if it is of one worker."""
    return {
        "app.kubernetes.io/name": "triveni",
        **MANAGED,
        "app.kubernetes.io/instance": model.metadata.name,
        COMPONENT: component.value,
        MODEL: model.metadata.name,
        MODEL_UID: uid(model),
        **_of_epoch(epoch, party),
    }


def selector(
    model: SecureModel, component: Component | None = None, epoch: int | None = None, party: int | None = None
) -> dict[str, str]:
    """The labels that pick out the objects of a SecureModel, of a component, an epoch or a party where one is given.

    By uid: a SecureModel that was deleted and made anew under its old name does not find what the old one left.
    """
    of_component = {} if component is None else {COMPONENT: component.value}
    return {MODEL_UID: uid(model)} | of_component | _of_epoch(epoch, party)


def query(selected: Mapping[str, str]) -> str:
    """A selector as the `labelSelector` of a list or a watch."""
    return ",".join(f"{label}={value}" for label, value in selected.items())


def owner_shares(model: SecureModel, epoch: int) -> bool:
    """Whether the owner has said that the model is about to be shared in this epoch."""
    return model.metadata.annotations.get(SHARE) == str(epoch)


def _of_epoch(epoch: int | None, party: int | None) -> dict[str, str]:
    of_epoch = {} if epoch is None else {EPOCH: str(epoch)}
    return of_epoch if party is None else of_epoch | {PARTY: str(party)}
