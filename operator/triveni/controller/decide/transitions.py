"""The events of a SecureModel: one for each transition, in the words of its conditions. Pure but for the name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from triveni.api.securemodel import API_VERSION, KIND, SecureModel
from triveni.api.status import ConditionType, Phase, Status, time_text
from triveni.controller.decide.ending import Ended

REPORTER = "triveni-operator"

EventType = Literal["Normal", "Warning"]

GOOD = {
    ConditionType.ACCEPTED: "True",
    ConditionType.WORKERS_READY: "True",
    ConditionType.SHARED: "True",
    ConditionType.READY: "True",
    ConditionType.PARTIES_INDEPENDENT: "True",
}

EXPECTED = frozenset(
    {
        "Starting",
        "WaitingForWorkers",
        "Sharing",
        "WorkersNotReady",
        "EpochEnding",
        "QuotaReached",
        "Suspended",
        "NotAccepted",
        "BackOff",
        "ModelRefused",
    }
)
"""Reasons for which a condition is False without anything being wrong, or that another one says more about."""


ASKING = frozenset({"WaitingForOwner"})
"""Reasons for which a condition is False and somebody has to do something, without anything being wrong."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: a type, a reason in one word, and a message for people."""

    type: EventType
    reason: str
    message: str


def transitions(before: Status, after: Status) -> Iterator[Event]:
    """The events of the step from one recorded status to the next."""
    yield from _epoch(before, after)
    warnings: dict[str, Event] = {}  # one for each reason, from the condition that says most: the last
    for kind, good in GOOD.items():
        old, new = before.condition(kind), after.condition(kind)
        if new is None or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
            continue
        if new.status == good:
            yield Event("Normal", new.reason, new.message)
        elif new.status != "False" or new.reason in EXPECTED or kind is ConditionType.READY:
            continue
        elif new.reason in ASKING:
            yield Event("Normal", new.reason, new.message)
        else:
            warnings[new.reason] = Event("Warning", new.reason, new.message)
    yield from warnings.values()
    reached, was = after.condition(ConditionType.QUOTA_REACHED), before.condition(ConditionType.QUOTA_REACHED)
    if reached is not None and reached.status == "True" and (was is None or was.status != "True"):
        yield Event("Normal", reached.reason, reached.message)


def _epoch(before: Status, after: Status) -> Iterator[Event]:
    old, new = before.epoch, after.epoch
    if new is None or (old is not None and (old.number, old.phase) == (new.number, new.phase)):
        return
    if new.phase is Phase.STARTING:
        grant = "no limit" if new.grant is None else f"{new.grant} requests"
        yield Event("Normal", "EpochStarted", f"epoch {new.number} starts, granted {grant}")
    if new.phase is Phase.ENDING:
        asked_for = new.reason is not None and Ended(new.reason).asked_for
        yield Event("Normal" if asked_for else "Warning", "EpochEnding", f"epoch {new.number} ends: {new.message}")
    if new.phase is Phase.ENDED and after.charges:
        charge = after.charges[-1]
        unknown = charge.rows > 0 and all(worker.answered is None for worker in charge.workers)
        message = f"epoch {charge.epoch}: {charge.rows} requests charged ({charge.why})"
        yield Event("Warning" if unknown else "Normal", "EpochCharged", message)


def is_mending(model: SecureModel, status: Status) -> bool:
    """Whether whatever has to be made now was there before, and somebody has changed it or taken it away.

    Not so for an epoch that is just starting, nor for a spec that has just changed.
    """
    live = status.epoch is not None and status.epoch.phase in (Phase.STARTED, Phase.SHARING, Phase.SERVING)
    return live and status.observed_generation == model.metadata.generation


def event_object(metadata: Mapping[str, Any], event: Event, now: datetime) -> dict[str, Any]:
    """The event as the API server takes it; `metadata` is that of the SecureModel."""
    name, namespace = metadata["name"], metadata["namespace"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{uuid4().hex[:16]}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": namespace,
            "name": name,
            "uid": metadata["uid"],
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:1000],
        "source": {"component": REPORTER},
        "reportingComponent": REPORTER,
        "reportingInstance": REPORTER,
        "firstTimestamp": time_text(now),
        "lastTimestamp": time_text(now),
        "count": 1,
    }
