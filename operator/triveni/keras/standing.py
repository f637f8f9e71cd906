"""A SecureModel that a notebook serves, as its status says, and what the notebook does next. Pure.

Read leniently, without the operator's types: a notebook is no reason to refuse what a newer operator writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


@dataclass(frozen=True, slots=True)
class Standing:
    """How far it is.

    Attributes:
        current: whether the operator has seen the newest spec.
        epoch, phase: of the newest epoch, 0 and empty before the first.
        charged: requests charged to epochs that have ended.
        served: requests answered as far as is known.
        finished: whether the request quota is reached.
        why: what the operator says of it, if it does not serve.
    """

    current: bool
    epoch: int
    phase: str
    charged: int
    served: int
    finished: bool
    why: str


def standing_of(model: Mapping[str, Any]) -> Standing:
    """From the object as JSON."""
    status = model.get("status") or {}
    epoch = status.get("epoch") or {}
    conditions = {condition.get("type"): condition for condition in status.get("conditions") or ()}
    refused = conditions.get("Accepted", {}).get("status") == "False"
    ready = conditions.get("Accepted" if refused else "Ready", {})
    return Standing(
        current=status.get("observedGeneration") == model["metadata"].get("generation"),
        epoch=int(epoch.get("number", 0)),
        phase=str(epoch.get("phase", "")),
        charged=int((status.get("quota") or {}).get("charged", 0)),
        served=int(status.get("served", 0)),
        finished=conditions.get("QuotaReached", {}).get("status") == "True",
        why=str(ready.get("message", "")) if ready.get("status") == "False" else "",
    )


class Step(Enum):
    """What a notebook does about it."""

    WAIT = auto()
    SHARE = auto()
    DONE = auto()


def next_step(now: Standing, shared: int, *, sharing: bool) -> Step:
    """The step, where epoch `shared` (0: none) was shared from here, and `sharing` says whether that goes on now."""
    if not now.current:
        return Step.WAIT  # what is said is about the spec of before
    if now.finished:
        return Step.DONE
    if sharing or (now.epoch == shared and now.phase in ("Sharing", "Serving", "Ending")):
        return Step.WAIT
    return Step.SHARE


def quota_for(charged: int, num_requests: int | None) -> int | None:
    """The request quota of which `num_requests` (None: no limit) are left, since what is charged stays charged."""
    return None if num_requests is None else charged + num_requests


def spec_of(protocol: str, quota: int | None, answer_bits: int | None) -> dict[str, Any]:
    """The SecureModel's spec, for a model that its owner shares from outside the cluster."""
    spec: dict[str, Any] = {"model": {"source": {"owner": {}}}, "protocol": protocol, "suspend": False}
    if answer_bits is not None:
        spec["answer"] = {"fractionalBits": answer_bits}
    return spec if quota is None else spec | {"requestQuota": quota}
