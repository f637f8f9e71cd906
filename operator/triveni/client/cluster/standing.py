"""What a cluster knows of a SecureModel, in a sentence: pure, from the objects as JSON.

Read leniently, without the operator's types: a client is no reason to refuse what a newer operator writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triveni.client.errors import QuotaReached

Object = Mapping[str, Any]

UNSEEN_S = 30.0
"""After which a SecureModel without any status is one that no operator looks at; one that is there needs a second."""


@dataclass(frozen=True, slots=True)
class WorkerPod:
    """A worker's pod. `why` is what its container waits for or ended with, in Kubernetes's word."""

    name: str
    party: int
    phase: str
    why: str
    leaving: bool

    @property
    def is_running(self) -> bool:
        """Whether it is worth while to connect."""
        return self.phase == "Running" and not self.leaving

    def __str__(self) -> str:
        state = "Terminating" if self.leaving else self.phase
        return f"{self.name} {state}" + (f" ({self.why})" if self.why else "")


def newest_epoch(pods: Iterable[Object]) -> dict[int, WorkerPod]:
    """By party, the worker pods of the newest epoch that has any."""
    epochs: dict[int, dict[int, WorkerPod]] = {}
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        epoch, party = labels.get("triveni.dev/epoch", ""), labels.get("triveni.dev/party", "")
        if epoch.isdecimal() and party in ("0", "1", "2"):
            epochs.setdefault(int(epoch), {})[int(party)] = _worker_pod(pod, int(party))
    return epochs[max(epochs)] if epochs else {}


def _worker_pod(pod: Object, party: int) -> WorkerPod:
    status = pod.get("status") or {}
    states = [state for container in status.get("containerStatuses") or () for state in container["state"].values()]
    unscheduled = [c for c in status.get("conditions") or () if c["type"] == "PodScheduled" and c["status"] == "False"]
    why = next((given["reason"] for given in (*states, *unscheduled) if given.get("reason")), "")
    metadata = pod["metadata"]
    return WorkerPod(metadata["name"], party, status.get("phase", "Unknown"), why, "deletionTimestamp" in metadata)


def of_pods(pods: Mapping[int, WorkerPod]) -> str:
    """What there is of three workers."""
    if not pods:
        return "there are no worker pods"
    missing = [f"none of worker {party}" for party in range(3) if party not in pods]
    return "worker pods: " + ", ".join([*(str(pod) for _, pod in sorted(pods.items())), *missing])


def of_model(model: Object) -> str:
    """The condition that tells most: why it was refused or, else, why it does not serve. Empty if nothing is known."""
    for kind in ("Accepted", "Ready"):
        condition = _condition(model, kind)
        if condition.get("status") == "False":
            return f"{kind}=False, {condition.get('reason', '')}: {condition.get('message', '')}".rstrip(": ")
    return ""


def unseen_for(model: Object, now: datetime) -> float | None:
    """For how many seconds it has been there without an operator having looked at it; None once one has."""
    created = model["metadata"].get("creationTimestamp")
    if model.get("status") or not created:
        return None
    return (now - datetime.fromisoformat(created.replace("Z", "+00:00"))).total_seconds()


def is_refused(model: Object) -> bool:
    """Whether its spec cannot be carried out."""
    return _condition(model, "Accepted").get("status") == "False"


def quota_reached(model: Object) -> QuotaReached | None:
    """The error that says so, if the request quota is reached."""
    if _condition(model, "QuotaReached").get("status") != "True":
        return None
    status = model["status"]
    charged = (status.get("quota") or {}).get("charged")
    totals = [f"{status.get('served', 0)} requests answered", *([f"{charged} charged"] if charged is not None else [])]
    return QuotaReached(
        f"request quota reached: {', '.join(totals)}, none left; its owner can raise spec.requestQuota "
        f"of SecureModel {model['metadata']['name']}"
    )


def _condition(model: Object, kind: str) -> Object:
    conditions = (model.get("status") or {}).get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == kind), {})
