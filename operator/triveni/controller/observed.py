"""What the cluster shows of one SecureModel: raw objects read into the few facts that decisions need.

Nothing here is trusted more than it has to be: a termination message that cannot be read is no report.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from triveni.api.status import MOST, time_of, time_text
from triveni.controller.objects.names import EPOCH, PARTY
from triveni.controller.quota import PARTIES, Report

KILLED = 128 + 9
"""Exit code of a container that SIGKILL ended: for want of memory, or after its time to end."""

NOT_YET = "SourceNotFound"
"""Final for a file on a disk, but not in a cluster: the objects of one `kubectl apply` come one after the other."""

JOB_NAME = "batch.kubernetes.io/job-name"

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something does not get on, in Kubernetes' own words: a reason in one word, and a message."""

    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


@dataclass(frozen=True, slots=True)
class Receipt:
    """A worker's word that it has erased what it held."""

    epoch: int
    party: int
    erased_at: str
    program_digest: str
    bytes_erased: int


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker pod. `report` and `receipt` are what it said at its end; `problem` is why it does not run.

    `told_to_end` is whether its pod has a deadline, which only the operator sets, and only to have it end.
    """

    epoch: int
    party: int
    name: str
    uid: str
    node: str | None = None
    address: str | None = None
    running: bool = False
    ready: bool = False
    ended: bool = False
    told_to_end: bool = False
    deleting: bool = False
    report: Report | None = None
    receipt: Receipt | None = None
    message: str = ""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Sharing:
    """The sharing job of an epoch; `failure` with `permanent` is what it said when it failed."""

    epoch: int
    name: str
    uid: str
    succeeded: bool = False
    failed: bool = False
    failure: Problem | None = None
    permanent: bool = False
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything of one SecureModel at one moment.

    `children` are the raw objects by kind and name, for what needs a whole object; `domains` says in which topology
    domain (of `spec.workers.topologyKey`) a node lies, None where its label is missing.
    """

    workers: tuple[Worker, ...] = ()
    sharing: tuple[Sharing, ...] = ()
    children: Mapping[tuple[str, str], Raw] = field(default_factory=dict)
    domains: Mapping[str, str | None] = field(default_factory=dict)

    def workers_of(self, epoch: int) -> tuple[Worker | None, Worker | None, Worker | None]:
        """The three workers of an epoch, None where there is no pod."""
        by_party = {worker.party: worker for worker in self.workers if worker.epoch == epoch}
        first, second, third = (by_party.get(party) for party in range(PARTIES))
        return first, second, third

    def serves(self, epoch: int) -> bool:
        """Whether the three workers hold their shares: the sharing job says so, or they serve."""
        sharing = self.sharing_of(epoch)
        ready = all(worker is not None and worker.ready for worker in self.workers_of(epoch))
        return ready or (sharing is not None and sharing.succeeded)

    def sharing_of(self, epoch: int) -> Sharing | None:
        """The sharing job of an epoch."""
        return next((sharing for sharing in self.sharing if sharing.epoch == epoch), None)


def observe(
    objects: Iterable[Raw], departed: Iterable[Raw] = (), domains: Mapping[str, str | None] | None = None
) -> Observed:
    """Read the objects that carry the labels of one SecureModel.

    `departed` are pods that are gone, as they last were: what they said at their end counts.
    """
    children = {(raw["kind"], raw["metadata"]["name"]): raw for raw in objects}
    pods = [raw for (kind, _), raw in children.items() if kind == "Pod"]
    jobs = [raw for (kind, _), raw in children.items() if kind == "Job"]
    workers = [worker for raw in pods if (worker := read_worker(raw)) is not None]
    gone = [read_worker(raw) for raw in departed if ("Pod", raw["metadata"]["name"]) not in children]
    workers += [replace(worker, ended=True, running=False, ready=False) for worker in gone if worker is not None]
    sharing = [_read_job(raw, [pod for pod in pods if _labels(pod).get(JOB_NAME) == _name(raw)]) for raw in jobs]
    return Observed(tuple(workers), tuple(s for s in sharing if s is not None), children, domains or {})


def read_worker(raw: Raw) -> Worker | None:
    """A worker pod; None if it is the pod of something else."""
    epoch, party = _number(_labels(raw).get(EPOCH)), _number(_labels(raw).get(PARTY))
    if epoch is None or party is None or party >= PARTIES:
        return None
    status = raw.get("status", {})
    container = _container(status)
    terminated = container.get("state", {}).get("terminated")
    ended = terminated is not None or status.get("phase") in ("Succeeded", "Failed")
    words = _words(terminated)
    report = _report(words)
    return Worker(
        epoch=epoch,
        party=party,
        name=_name(raw),
        uid=raw["metadata"]["uid"],
        node=raw.get("spec", {}).get("nodeName"),
        address=status.get("podIP"),
        running=not ended and "running" in container.get("state", {}),
        ready=not ended and _condition(status, "Ready").get("status") == "True",
        ended=ended,
        told_to_end="activeDeadlineSeconds" in raw.get("spec", {}),
        deleting="deletionTimestamp" in raw["metadata"],
        report=report,
        receipt=_receipt(words),
        message=_text(words.get("message", ""), 500) if report else "",
        problem=_death(status, terminated) if ended and not report else _pending(status, container),
    )


def _read_job(raw: Raw, pods: Sequence[Raw]) -> Sharing | None:
    epoch = _number(_labels(raw).get(EPOCH))
    if epoch is None:
        return None
    status = raw.get("status", {})
    failed = _condition(status, "Failed")
    is_failed = failed.get("status") == "True" or _condition(status, "FailureTarget").get("status") == "True"
    failure, permanent, problem = None, False, None
    for pod in pods:
        container = _container(pod.get("status", {}))
        terminated = container.get("state", {}).get("terminated")
        words = _words(terminated)
        if isinstance(words.get("reason"), str) and words["reason"] != "Shared":
            failure = Problem(_word(words["reason"]), _text(words.get("message", ""), 1000))
            permanent = words.get("permanent") is True and failure.reason != NOT_YET
        elif terminated is not None and terminated.get("exitCode") != 0:
            failure = _death(pod["status"], terminated)
        problem = _pending(pod.get("status", {}), container)
    if is_failed and failure is None:
        failure = Problem(failed.get("reason") or "SharingFailed", failed.get("message", ""))
    succeeded = _condition(status, "Complete").get("status") == "True" or bool(status.get("succeeded"))
    return Sharing(epoch, _name(raw), raw["metadata"]["uid"], succeeded, is_failed, failure, permanent, problem)


def _container(status: Raw) -> Raw:
    containers: Sequence[Raw] = status.get("containerStatuses") or ()
    return containers[0] if containers else {}


def _condition(status: Raw, kind: str) -> Raw:
    conditions: Sequence[Raw] = status.get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def _pending(status: Raw, container: Raw) -> Problem | None:
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return Problem(scheduled.get("reason", "Unschedulable"), scheduled.get("message", "")[:500])
    waiting = container.get("state", {}).get("waiting", {})
    reason = waiting.get("reason")
    if reason not in (None, "ContainerCreating", "PodInitializing"):
        # The kubelet says the one and the other in turns, and they mean the same.
        reason = "ImagePullBackOff" if reason == "ErrImagePull" else reason
        return Problem(reason, waiting.get("message", "")[:500])
    return None


def _death(status: Raw, terminated: Raw | None) -> Problem:
    if status.get("reason"):  # evicted, deadline exceeded, node lost
        return Problem(status["reason"], status.get("message", "")[:500])
    if terminated is None:
        return Problem("Ended", "the container ended without a word")
    reason, code = terminated.get("reason") or "Ended", terminated.get("exitCode")
    if code == KILLED:
        return Problem(reason, "the container was killed")
    return Problem(reason, f"the container ended with exit code {code} and without a report")


def _words(terminated: Raw | None) -> Raw:
    try:
        words = json.loads((terminated or {}).get("message") or "{}")
    except (ValueError, RecursionError):
        return {}
    return words if isinstance(words, dict) else {}


def _report(words: Raw) -> Report | None:
    numbers = _counts(words, "epoch", "party", "admitted", "answered")
    if numbers is None or not isinstance(words.get("reason"), str):
        return None
    epoch, party, admitted, answered = numbers
    return Report(epoch, party, admitted, answered, _word(words["reason"]))


def _counts(words: Raw, *keys: str) -> list[int] | None:
    """Numbers that a status can hold; None unless all are."""
    numbers = [n for key in keys if type(n := words.get(key)) is int and 0 <= n <= MOST]
    return numbers if len(numbers) == len(keys) else None


def _text(value: object, most: int) -> str:
    """What a pod said, as text that can be written: JSON can hold halves of characters."""
    return str(value)[:most].encode("utf-8", "replace").decode()


def _word(text: str) -> str:
    """A reason that a pod gave, if it is one that a condition can carry."""
    return text if re.fullmatch("[A-Za-z]{1,60}", text) else "Unknown"


def _receipt(words: Raw) -> Receipt | None:
    raw = words.get("receipt")
    if not isinstance(raw, dict) or (numbers := _counts(raw, "epoch", "party", "bytes_erased")) is None:
        return None
    epoch, party, erased = numbers
    try:
        erased_at = time_text(time_of(raw["erased_at"]))
    except (KeyError, AttributeError, ValueError, OverflowError):
        return None
    return Receipt(epoch, party, erased_at, _text(raw.get("program_digest", ""), 100), erased)


def _labels(raw: Raw) -> Mapping[str, str]:
    return raw["metadata"].get("labels") or {}


def _name(raw: Raw) -> str:
    return str(raw["metadata"]["name"])


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
