"""How far a SecureModel is on its way to being shared by its owner: pure, from the object as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from triveni.client.cluster import standing
from triveni.client.cluster.errors import NotShareable, SharedAlready

Object = Mapping[str, Any]

SHARE = "triveni.dev/share"
"""The annotation by which the owner says in which epoch the model is about to be shared."""

EPOCH = "triveni.dev/epoch"


class Stage(Enum):
    """What is to be done about the newest epoch."""

    UNSEEN = auto()
    """Nothing: no operator has looked at the SecureModel, ever."""
    COMING = auto()
    """Wait: its workers are not there yet, or the operator has something else to do first."""
    TO_BE_ASKED_FOR = auto()
    """Say that it is about to be shared."""
    SHARING = auto()
    """Share it."""


def stage_of(model: Object) -> tuple[Stage, int]:
    """The stage, and the number of the newest epoch (0 if there is none).

    Raises:
        SharedAlready: nothing is left to do.
        NotShareable, QuotaReached: waiting does not help.
    """
    metadata, status = model["metadata"], model.get("status")
    name, namespace = metadata["name"], metadata.get("namespace", "default")
    source = model["spec"]["model"]["source"]
    if "owner" not in source:
        kind = ", ".join(source)
        raise NotShareable(name, namespace, f"its spec.model.source is {kind}, not owner: the sharing job reads it")
    if not status:
        return Stage.UNSEEN, 0
    epoch = status.get("epoch") or {}
    number, phase = int(epoch.get("number", 0)), epoch.get("phase")
    if status.get("observedGeneration") != metadata.get("generation"):
        return Stage.COMING, number  # what is said is about the spec of before
    if (reached := standing.quota_reached(model)) is not None:
        raise reached
    failures = status.get("failures") or {}
    blocked = failures.get("blockedGeneration") == metadata.get("generation")
    if model["spec"].get("suspend") or blocked or standing.is_refused(model):
        raise NotShareable(name, namespace, standing.of_model(model))
    if phase == "Serving":
        raise SharedAlready(name, number)
    if phase == "Sharing":
        return Stage.SHARING, number
    asked = (metadata.get("annotations") or {}).get(SHARE) == str(number)
    if phase in ("Starting", "Started") and not asked:
        return Stage.TO_BE_ASKED_FOR, number
    return Stage.COMING, number


def waits_for(model: Object) -> str:
    """What keeps it from being shared, in the operator's words."""
    return standing.of_model(model) or "its operator has not said why"
