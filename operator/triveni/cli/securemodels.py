"""A SecureModel as its owner looks at it: conditions, epoch, quota, receipts, and what to do next. Pure.

Read leniently, from the object as JSON: a command line is no reason to refuse what a newer operator writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Object = Mapping[str, Any]

STARTING = frozenset({"Starting", "Sharing", "WaitingForWorkers", "EpochEnding", "WorkersNotReady", "BackOff"})
"""Reasons of Ready=False that pass by themselves."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, as it stands."""

    type: str
    status: str
    reason: str
    message: str
    since: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A worker's word that it has erased its shares."""

    epoch: int
    party: int
    bytes_erased: int
    erased_at: str


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What is known; None or empty is what is not."""

    name: str
    namespace: str
    protocol: str
    quota: int | None
    served: int
    charged: int
    remaining: int | None
    epoch: int | None
    phase: str
    granted: int | None
    started_at: str
    suspended: bool
    client_secret: str
    conditions: Sequence[Condition]
    receipts: Sequence[Receipt]

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type."""
        return next((condition for condition in self.conditions if condition.type == kind), None)

    @property
    def ready(self) -> str:
        """True, False, Unknown; empty before an operator has seen it."""
        condition = self.condition("Ready")
        return condition.status if condition else ""

    @property
    def reason(self) -> str:
        """Why it is ready, or is not, in a word."""
        accepted, ready = self.condition("Accepted"), self.condition("Ready")
        told = accepted if accepted is not None and accepted.status == "False" else ready
        return told.reason if told else ""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "next": list(next_steps(self))}


def read(model: Object) -> ModelStatus:
    """From the object that the API server gives."""
    metadata, spec, status = (model.get(key) or {} for key in ("metadata", "spec", "status"))
    quota, epoch = status.get("quota") or {}, status.get("epoch") or {}
    return ModelStatus(
        name=str(metadata.get("name", "")),
        namespace=str(metadata.get("namespace", "")),
        protocol=str(spec.get("protocol", "")),
        quota=spec.get("requestQuota"),
        served=status.get("served") or 0,
        charged=quota.get("charged") or 0,
        remaining=quota.get("remaining"),
        epoch=epoch.get("number"),
        phase=str(epoch.get("phase", "")),
        granted=epoch.get("grant"),
        started_at=str(epoch.get("startedAt", "")),
        suspended=bool(spec.get("suspend")),
        client_secret=str(status.get("clientSecret") or ""),
        conditions=[
            Condition(*(str(given.get(k, "")) for k in ("type", "status", "reason", "message", "lastTransitionTime")))
            for given in status.get("conditions") or ()
        ],
        receipts=[
            Receipt(
                given.get("epoch", 0), given.get("party", 0), given.get("bytesErased", 0), given.get("erasedAt", "")
            )
            for given in status.get("receipts") or ()
        ],
    )


def next_steps(status: ModelStatus) -> Iterator[str]:
    """What can be done now, as sentences with commands."""
    where, name = f"-n {status.namespace} {status.name}", status.name
    if not status.conditions:
        yield "no operator has looked at it yet: kubectl get pods -A -l app.kubernetes.io/component=operator"
        return
    accepted, ready = status.condition("Accepted"), status.condition("Ready")
    if accepted is not None and accepted.status == "False":
        yield "mend the spec and apply it again; triveni check FILE says what is wrong without a cluster"
    elif _is(status, "QuotaReached"):
        yield f"to serve on, raise the quota: {_patch(status, 'requestQuota', 2 * (status.quota or 1))}"
    elif status.suspended:
        yield f"to serve again: {_patch(status, 'suspend', False)}"
    elif ready is not None and ready.status == "True":
        yield f"ask it: triveni predict {where} FILE"
        yield f"watch it: triveni top {where}"
    elif status.reason == "Unschedulable":
        selector = f"triveni.dev/model={name},app.kubernetes.io/component=worker"
        yield f"make room, or write independence: Preferred; kubectl -n {status.namespace} describe pods -l {selector}"
    elif status.reason in STARTING:
        yield f"wait: triveni status --watch {where}"
    else:
        yield f"mend what the condition says; triveni logs {where} may tell more"
    independent = status.condition("PartiesIndependent")
    if independent is not None and independent.status == "False":
        yield f"the workers are not apart: {independent.message}"


def _is(status: ModelStatus, kind: str) -> bool:
    condition = status.condition(kind)
    return condition is not None and condition.status == "True"


def _patch(status: ModelStatus, field: str, value: object) -> str:
    spec = json.dumps({"spec": {field: value}})
    return f"kubectl -n {status.namespace} patch securemodel {status.name} --type merge -p '{spec}'"
