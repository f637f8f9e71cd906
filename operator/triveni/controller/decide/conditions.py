"""The six conditions of a SecureModel: what holds, why, and what a person can do about it.

Pure: from the spec, the recorded status and what the cluster shows. A reason is one word that programs may compare;
each is listed here once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from triveni.api.securemodel import SecureModel
from triveni.api.status import Condition, ConditionType, EpochStatus, FailureStatus, Phase, Status, time_text
from triveni.controller.decide.account import charged
from triveni.controller.decide.failing import Hold, hold
from triveni.controller.objects import is_owners
from triveni.controller.objects.deadlines import OWNER
from triveni.controller.observed import Observed, Problem
from triveni.controller.quota import PARTIES

Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition before it is compared with the one that stands."""

    status: Truth
    reason: str
    message: str


def conditions_of(
    model: SecureModel, status: Status, seen: Observed, refused: Problem | None, now: datetime
) -> tuple[Condition, ...]:
    """All six, for a SecureModel that is accepted.

    Args:
        model: what is wanted.
        status: as it is about to be recorded.
        seen: what the cluster shows.
        refused: what the API server said when it would not create an object of the epoch.
        now: in UTC.
    """
    held = hold(model, status, now)
    live = status.epoch is not None and status.epoch.phase is not Phase.ENDED
    workers = _workers(model, status, seen, held if not live else None, refused)
    shared = _shared(model, status, seen, held if not live else None)
    findings = {
        ConditionType.ACCEPTED: Finding("True", "Valid", "the spec can be carried out"),
        ConditionType.WORKERS_READY: workers,
        ConditionType.SHARED: shared,
        ConditionType.READY: _ready(status, seen, held if not live else None, workers, shared),
        ConditionType.QUOTA_REACHED: _quota(model, status),
        ConditionType.PARTIES_INDEPENDENT: _independent(model, status, seen),
    }
    return merged(status.conditions, findings, model.metadata.generation, now)


def conditions_of_refused(
    status: Status, reason: str, message: str, generation: int | None, now: datetime
) -> tuple[Condition, ...]:
    """All six, for a SecureModel whose spec cannot be carried out; `message` says what is wrong."""
    waits = Finding("False", "NotAccepted", "the spec has to be mended first; see the condition Accepted")
    findings = dict.fromkeys(ConditionType, waits)
    findings[ConditionType.ACCEPTED] = Finding("False", reason, message)
    findings[ConditionType.QUOTA_REACHED] = Finding("Unknown", "NotAccepted", waits.message)
    findings[ConditionType.PARTIES_INDEPENDENT] = Finding("Unknown", "NotAccepted", waits.message)
    return merged(status.conditions, findings, generation, now)


def merged(
    standing: Sequence[Condition], findings: dict[ConditionType, Finding], generation: int | None, now: datetime
) -> tuple[Condition, ...]:
    """The new conditions; the time of transition stays where the status stays."""
    before = {condition.type: condition for condition in standing}

    def condition(kind: ConditionType, finding: Finding) -> Condition:
        old = before.get(kind)
        since = old.last_transition_time if old and old.status == finding.status else time_text(now)
        return Condition(
            type=kind,
            status=finding.status,
            reason=finding.reason,
            message=finding.message[:2000],
            last_transition_time=since,
            observed_generation=generation,
        )

    return tuple(condition(kind, findings[kind]) for kind in ConditionType)


def _workers(model: SecureModel, status: Status, seen: Observed, held: Hold | None, refused: Problem | None) -> Finding:
    if held is not None:
        return Finding("False", held.value, _HELD[held])
    epoch = status.epoch
    if epoch is None or epoch.phase is Phase.ENDED:
        return Finding("False", "Starting", "the next epoch is about to start")
    if epoch.phase is Phase.ENDING:
        return Finding("False", "EpochEnding", f"epoch {epoch.number} ends: {epoch.message}")
    if refused is not None:
        what = f"the API server does not take an object of epoch {epoch.number}: {refused.message}"
        return Finding("False", "Refused", f"{what}; mend the spec, or what refuses it, and it goes on by itself")
    workers, running = seen.workers_of(epoch.number), _running(seen, epoch)
    if running == PARTIES:
        return Finding("True", "Running", f"the three workers of epoch {epoch.number} are running")
    problems: dict[Problem, list[str]] = {}
    for worker in workers:
        if worker is not None and worker.problem is not None:
            problems.setdefault(worker.problem, []).append(f"worker {worker.party} ({worker.name})")
    if not problems:
        return Finding("False", "Starting", f"{running} of {PARTIES} workers of epoch {epoch.number} are running")
    # What is wrong with all three is said once: the words of a registry are long.
    said = [f"{', '.join(whose)}: {_said(problem)}" for problem, whose in problems.items()]
    return Finding("False", next(iter(problems)).reason, "; ".join(said))


def _shared(model: SecureModel, status: Status, seen: Observed, held: Hold | None) -> Finding:
    failures = status.failures
    if held in _FAILED and failures is not None:
        return Finding("False", failures.reason, _way_out(failures))
    if held is not None:
        return Finding("False", held.value, _HELD[held])
    epoch, owners = status.epoch, is_owners(model)
    if epoch is not None and owners and epoch.phase is Phase.STARTED and _running(seen, epoch) == PARTIES:
        return Finding("False", "WaitingForOwner", _asks_owner(model, epoch))
    if epoch is None or epoch.phase in (Phase.ENDED, Phase.STARTING, Phase.STARTED):
        shared = "can be shared by its owner" if owners else "is shared"
        return Finding("False", "WaitingForWorkers", f"the model {shared} as soon as all three workers run")
    if epoch.phase is Phase.SERVING:
        return Finding("True", "Shared", _what_is_shared(model, epoch))
    sharing = seen.sharing_of(epoch.number)
    if sharing is not None and sharing.failure is not None:
        return Finding("False", sharing.failure.reason, sharing.failure.message)
    if epoch.phase is Phase.ENDING:
        return Finding("False", "EpochEnding", f"epoch {epoch.number} ends: {epoch.message}")
    if sharing is not None and sharing.problem is not None:
        return Finding("False", sharing.problem.reason, f"the sharing job waits: {_said(sharing.problem)}")
    if owners:
        what = f"the owner hands out the shares of epoch {epoch.number}"
        return Finding("False", "Sharing", f"{what}; if that failed, suspend, resume and share again")
    return Finding("False", "Sharing", f"the sharing job of epoch {epoch.number} reads the model and hands out shares")


def _what_is_shared(model: SecureModel, epoch: EpochStatus) -> str:
    shared = f"every worker of epoch {epoch.number} holds its share of the model"
    if model.spec.model.input_range is not None or is_owners(model):
        return shared
    return f"{shared}; spec.model.inputRange is not given, so it is not known whether all values fit"


def _running(seen: Observed, epoch: EpochStatus) -> int:
    return sum(worker is not None and worker.running for worker in seen.workers_of(epoch.number))


def _asks_owner(model: SecureModel, epoch: EpochStatus) -> str:
    again = "" if epoch.number == 1 else " again, since what the workers of the epoch before held is erased"
    return (
        f"epoch {epoch.number} waits for the owner to share the model{again}: run model.share(...) in the notebook, "
        f"within {OWNER // 60} minutes"
    )


def _ready(status: Status, seen: Observed, held: Hold | None, workers: Finding, shared: Finding) -> Finding:
    if held is not None:
        return Finding("False", shared.reason, shared.message)
    epoch = status.epoch
    if workers.status != "True" or epoch is None:
        return Finding("False", workers.reason, workers.message)
    if all(worker is not None and worker.ready for worker in seen.workers_of(epoch.number)):
        return Finding("True", "Serving", f"epoch {epoch.number} answers requests")
    if shared.status != "True":
        return Finding("False", shared.reason, shared.message)
    return Finding("False", "WorkersNotReady", f"the workers of epoch {epoch.number} do not all serve yet")


def _quota(model: SecureModel, status: Status) -> Finding:
    quota, used = model.spec.request_quota, charged(status)
    if quota is None:
        return Finding("False", "NoQuota", f"{used} requests charged; there is no spec.requestQuota")
    if used >= quota:
        return Finding(
            "True", "QuotaReached", f"{used} of {quota} requests charged; raise spec.requestQuota to serve on"
        )
    return Finding("False", "BelowQuota", f"{used} of {quota} requests charged")


def _independent(model: SecureModel, status: Status, seen: Observed) -> Finding:
    epoch, key = status.epoch, model.spec.workers.topology_key
    if epoch is None or epoch.phase is Phase.ENDED:
        return Finding("Unknown", "NoWorkers", "there are no workers now")
    workers = seen.workers_of(epoch.number)
    waiting = [worker for worker in workers if worker is None or worker.node is None]
    stuck = [worker for worker in waiting if worker is not None and worker.problem is not None]
    if stuck and model.spec.workers.independence == "Required":
        what = f"worker {stuck[0].party} finds no place of its own: {_said(stuck[0].problem)}"
        return Finding("False", "Unschedulable", f"{what}; add nodes, or write independence: Preferred")
    if waiting:
        return Finding("Unknown", "NotPlaced", "not all three workers have a node yet")
    domains = [seen.domains.get(worker.node) for worker in workers if worker is not None and worker.node is not None]
    named = [domain for domain in domains if domain is not None]
    if len(named) < PARTIES:
        return Finding("Unknown", "NoTopology", f"not every node has the label {key}")
    if len(set(named)) == PARTIES:
        return Finding("True", "Apart", f"the three workers are in three different domains of {key}")
    where = ", ".join(f"worker {party} in {domain}" for party, domain in enumerate(named))
    what = f"who controls one domain of {key} may see two shares, which together hold everything ({where})"
    return Finding("False", "Together", f"{what}; write independence: Required, and have three such domains")


def _said(problem: Problem | None) -> str:
    """In Kubernetes' words, ready to have more said after them."""
    return str(problem).rstrip(". ")


def _way_out(failures: FailureStatus) -> str:
    if failures.retry_at is not None:
        return f"{failures.message}; the next epoch tries again at {failures.retry_at}"
    return f"{failures.message}; it is not tried again until the spec changes (suspending and resuming is a change)"


_FAILED = frozenset({Hold.REFUSED, Hold.BACK_OFF, Hold.GAVE_UP, Hold.RECOVERY_NEVER})
"""Holds about which the last failure has more to say than their name."""

_HELD = {
    Hold.QUOTA_REACHED: "the request quota is reached; raise spec.requestQuota to serve on",
    Hold.SUSPENDED: "spec.suspend is true; set it to false to serve on",
    Hold.RECOVERY_NEVER: "a worker was lost and spec.recovery is Never; see the condition Shared",
    Hold.GAVE_UP: "too many epochs in a row came to nothing; see the condition Shared",
    Hold.REFUSED: "the model cannot be served; see the condition Shared",
    Hold.BACK_OFF: "the last epoch failed; the next one starts soon",
}
