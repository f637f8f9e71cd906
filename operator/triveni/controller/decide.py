"""What happens next with a SecureModel: pure decisions over its spec, its status and what the cluster shows.

Two questions, asked again and again. `advance` says whether the recorded status moves on by one step; that is written
down before anything is done. `act` says what to make, end and delete while the status is what it is. Nothing depends on
which event woke the operator, so it may be killed between any two calls to the API server: the next one asks the same
questions about what it finds. Three rules keep the request quota whole:

- the grant of an epoch is recorded (phase Starting) before its first pod is created;
- pods are created in phase Starting only. Later one that is missing has been lost, and the sharing job, without which
  nobody can answer anything, runs only later: so no grant is ever used by two sets of workers;
- a charge and the end of its epoch are recorded in one write, on condition that nobody wrote in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from triveni.api.securemodel import SecureModel
from triveni.api.status import (
    MAX_CHARGES,
    ChargeStatus,
    ConditionType,
    EpochStatus,
    FailureStatus,
    Phase,
    QuotaStatus,
    ReceiptStatus,
    Status,
    WorkerCharge,
    time_of,
    time_text,
)
from triveni.controller.objects import parts_of_model
from triveni.controller.objects.names import EPOCH
from triveni.controller.observed import Observed, Raw, Worker
from triveni.controller.quota import Charge, Grant, Report, charge
from triveni.worker.state import EndReason

END_S = 12.0
"""Seconds that workers have to end by themselves when one has: to notice, drain, erase and report."""

FORGOTTEN_S = 5.0
"""Seconds that a pod that is gone has for its last words to come in: they travel by another way than its absence."""

LOST_S = 60.0
"""Seconds after which a worker that was told to end and does not (its node is gone) is counted as lost. It can answer
nothing: its peers have ended."""

STABLE_S = 600.0
"""An epoch that lived as long as this was no failure, whether anybody asked for predictions or not."""

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 300.0

MAX_UNSERVED = 8
"""Epochs in a row that did not come to serve, after which the operator waits for a change of the spec."""

MAX_BARREN = 20
"""The same for epochs without an answer."""


class Ended(StrEnum):
    """Why an epoch ends."""

    QUOTA_REACHED = "QuotaReached"
    WORKER_ENDED = "WorkerEnded"
    WORKER_LOST = "WorkerLost"
    SHARING_FAILED = "SharingFailed"
    SUSPENDED = "Suspended"
    SPEC_CHANGED = "SpecChanged"
    QUOTA_CHANGED = "QuotaChanged"
    AUTHORITY_REPLACED = "AuthorityReplaced"

    @property
    def asked_for(self) -> bool:
        """Whether it is what somebody wants, and no failure."""
        return self in _ASKED_FOR

    @property
    def by_themselves(self) -> bool:
        """Whether the workers notice by themselves, so that they are given time before they are told to end."""
        return self in (Ended.QUOTA_REACHED, Ended.WORKER_ENDED, Ended.WORKER_LOST)


_ASKED_FOR = frozenset(
    {Ended.QUOTA_REACHED, Ended.SUSPENDED, Ended.SPEC_CHANGED, Ended.QUOTA_CHANGED, Ended.AUTHORITY_REPLACED}
)


class Hold(StrEnum):
    """Why no epoch starts."""

    QUOTA_REACHED = "QuotaReached"
    SUSPENDED = "Suspended"
    RECOVERY_NEVER = "RecoveryNever"
    GAVE_UP = "GaveUp"
    REFUSED = "ModelRefused"
    BACK_OFF = "BackOff"


@dataclass(frozen=True, slots=True)
class Actions:
    """What to do now: make what is missing of the SecureModel and its epoch, end workers, delete objects.

    `again_s` is when to look again even if nothing happens; None for never.
    """

    make: bool = False
    end: tuple[Worker, ...] = ()
    delete: tuple[Raw, ...] = ()
    again_s: float | None = None


# --- the record -----------------------------------------------------------------------------------------------------


def advance(model: SecureModel, status: Status, seen: Observed, authority: str | None, now: datetime) -> Status:
    """The status after the next step of its epoch, the same one if there is none to take now.

    Args:
        model: accepted.
        status: as recorded.
        seen: what the cluster shows.
        authority: the fingerprint of the private authority that stands now, None before there is one.
        now: in UTC.
    """
    status = status.model_copy(update={"quota": account(model, status)})
    epoch = status.epoch
    if epoch is None or epoch.phase is Phase.ENDED:
        return status if hold(model, status, now) else _start(model, status, now)
    workers = seen.workers_of(epoch.number)
    if epoch.phase is Phase.ENDING:
        since = (now - time_of(epoch.ending_at)).total_seconds() if epoch.ending_at else 0.0
        over = all(_is_over(worker, since) for worker in workers)
        return _charge(model, status, epoch, seen, now) if over else status
    if (end := why_end(model, status, epoch, seen, authority)) is not None:
        reason, message = end
        update = {"phase": Phase.ENDING, "ending_at": time_text(now), "reason": reason.value, "message": message}
        return _with_epoch(status, epoch, update)
    exist = all(worker is not None for worker in workers)
    placed = all(worker is not None and worker.node for worker in workers)
    if epoch.phase is Phase.STARTING and exist:
        return _with_epoch(status, epoch, {"phase": Phase.STARTED, "authority": authority})
    if epoch.phase is Phase.STARTED and placed:
        return _with_epoch(status, epoch, {"phase": Phase.SHARING, "sharing": True})
    return status


def _is_over(worker: Worker | None, since: float) -> bool:
    """Whether nothing more is to be heard of a worker, `since` seconds after its epoch began to end."""
    if worker is None:
        return since >= FORGOTTEN_S
    return worker.ended or (worker.deleting and since >= LOST_S)


def account(model: SecureModel, status: Status) -> QuotaStatus:
    """The quota's account under the quota of today's spec."""
    used, quota = charged(status), model.spec.request_quota
    return QuotaStatus(charged=used, remaining=None if quota is None else max(0, quota - used))


def charged(status: Status) -> int:
    """Requests charged to ended epochs."""
    return status.quota.charged if status.quota else 0


def hold(model: SecureModel, status: Status, now: datetime) -> Hold | None:
    """Why no epoch may start now, None if one may."""
    if account(model, status).remaining == 0:
        return Hold.QUOTA_REACHED
    if model.spec.suspend:
        return Hold.SUSPENDED
    failures = status.failures
    if failures is None:
        return None
    if failures.blocked_generation is not None and failures.blocked_generation == model.metadata.generation:
        return Hold(failures.reason) if failures.reason in (Hold.RECOVERY_NEVER, Hold.GAVE_UP) else Hold.REFUSED
    if failures.retry_at is not None and now < time_of(failures.retry_at):
        return Hold.BACK_OFF
    return None


def finished_at(status: Status) -> datetime | None:
    """Since when the request quota has been reached and everything is charged; None if it is not."""
    reached = status.condition(ConditionType.QUOTA_REACHED)
    if status.epoch is None or status.epoch.phase is not Phase.ENDED or reached is None or reached.status != "True":
        return None
    return time_of(reached.last_transition_time)


def why_end(
    model: SecureModel, status: Status, epoch: EpochStatus, seen: Observed, authority: str | None
) -> tuple[Ended, str] | None:
    """Why the epoch has to end, with words for people; None if it goes on."""
    workers = seen.workers_of(epoch.number)
    there = [worker for worker in workers if worker is not None]
    ended = [worker for worker in there if worker.ended]
    reached = [worker for worker in ended if worker.report and worker.report.reason == EndReason.QUOTA_REACHED]
    if reached:
        return Ended.QUOTA_REACHED, "the request quota of the epoch is reached"
    if ended:
        return Ended.WORKER_ENDED, _why_ended(ended)
    if epoch.phase is not Phase.STARTING:
        gone = [str(party) for party, worker in enumerate(workers) if worker is None or worker.deleting]
        if gone:
            return Ended.WORKER_LOST, f"the pod of worker {' and '.join(gone)} was deleted"
    if (sharing := seen.sharing_of(epoch.number)) is not None and sharing.failed:
        return Ended.SHARING_FAILED, str(sharing.failure or "the sharing job failed")
    if model.spec.suspend:
        return Ended.SUSPENDED, "spec.suspend is true"
    if epoch.model_hash != parts_of_model(model):
        return Ended.SPEC_CHANGED, "the spec of the model changed; a new epoch follows"
    remaining = account(model, status).remaining
    if epoch.grant != remaining:
        return Ended.QUOTA_CHANGED, "spec.requestQuota changed; the next epoch is granted what remains of it"
    if epoch.authority is not None and authority != epoch.authority:
        return Ended.AUTHORITY_REPLACED, "the Secret of the private authority was deleted; a new epoch gets a new one"
    return None


def _why_ended(ended: list[Worker]) -> str:
    """About the workers that ended first: those that did not end because of another."""
    causes = [w for w in ended if not (w.report and w.report.reason == EndReason.PEER_LOST)] or ended
    return "; ".join(f"worker {worker.party} ended: {_last_words(worker)}" for worker in causes)


def _last_words(worker: Worker) -> str:
    if worker.report:
        return worker.message or worker.report.reason
    return str(worker.problem or "its pod is gone, without a word")


def _start(model: SecureModel, status: Status, now: datetime) -> Status:
    remaining = account(model, status).remaining
    number = (status.epoch.number if status.epoch else 0) + 1
    epoch = EpochStatus(
        number=number,
        grant=remaining,
        phase=Phase.STARTING,
        started_at=time_text(now),
        model_hash=parts_of_model(model),
    )
    return status.model_copy(update={"epoch": epoch})


def _charge(model: SecureModel, status: Status, epoch: EpochStatus, seen: Observed, now: datetime) -> Status:
    """Charge the epoch by what its workers reported, and end it."""
    workers = seen.workers_of(epoch.number)
    reports = [worker.report if worker else None for worker in workers]
    bill = charge(Grant(epoch.number, epoch.grant), reports, shared=epoch.sharing)
    quota = QuotaStatus(charged=charged(status) + bill.rows)
    receipts = tuple(
        ReceiptStatus(
            epoch=receipt.epoch,
            party=receipt.party,
            erased_at=receipt.erased_at,
            program_digest=receipt.program_digest,
            bytes_erased=receipt.bytes_erased,
        )
        for worker in workers
        if worker is not None and (receipt := worker.receipt) and (receipt.epoch, receipt.party) == _whose(worker)
    )
    update = {
        "quota": quota,
        "served": quota.charged,
        "charges": (*status.charges, _charge_status(bill, epoch, now))[-MAX_CHARGES:],
        "receipts": receipts or status.receipts,
        "failures": _failures(model, status, epoch, bill, seen, now),
    }
    status = _with_epoch(status.model_copy(update=update), epoch, {"phase": Phase.ENDED})
    return status.model_copy(update={"quota": account(model, status)})


def _whose(worker: Worker) -> tuple[int, int]:
    return worker.epoch, worker.party


def _charge_status(bill: Charge, epoch: EpochStatus, now: datetime) -> ChargeStatus:
    def reported(party: int, report: Report | None) -> WorkerCharge:
        if report is None:
            return WorkerCharge(party=party)
        return WorkerCharge(party=party, admitted=report.admitted, answered=report.answered, reason=report.reason)

    return ChargeStatus(
        epoch=epoch.number,
        granted=bill.grant.rows,
        rows=bill.rows,
        why=bill.why.value,
        ended=epoch.reason or "",
        at=time_text(now),
        workers=tuple(reported(party, report) for party, report in enumerate(bill.reports)),
    )


def _failures(
    model: SecureModel, status: Status, epoch: EpochStatus, bill: Charge, seen: Observed, now: datetime
) -> FailureStatus | None:
    """What the end of the epoch means for the next one; None if it was no failure."""
    ended = Ended(epoch.reason or Ended.WORKER_ENDED)
    if ended.asked_for:
        return None
    before = status.failures or FailureStatus(count=0, reason="", message="")
    sharing = seen.sharing_of(epoch.number)
    served = sharing is not None and sharing.succeeded
    stable = bill.rows > 0 or (served and now - time_of(epoch.started_at) > timedelta(seconds=STABLE_S))
    count = 0 if stable else before.count + 1
    unserved = 0 if served else before.unserved + 1
    reason, message = ended.value, epoch.message or ""
    if ended is Ended.SHARING_FAILED and sharing is not None and sharing.failure is not None:
        reason, message = sharing.failure.reason, sharing.failure.message
    refused = _refused_by(seen, epoch)
    if refused is not None:
        reason, message = refused.report.reason if refused.report else reason, _last_words(refused)
    blocked = None
    if refused is not None or (sharing is not None and sharing.failed and sharing.permanent):
        blocked = model.metadata.generation
    elif model.spec.recovery == "Never" and served:
        reason, message = Hold.RECOVERY_NEVER, f"{message}; spec.recovery is Never"
        blocked = model.metadata.generation
    elif unserved >= MAX_UNSERVED or count >= MAX_BARREN:
        what = f"{unserved} epochs in a row did not come to serve" if unserved else f"{count} epochs without an answer"
        reason, message = Hold.GAVE_UP, f"{what}; the last: {reason}: {message}"
        blocked = model.metadata.generation
    pause = 0.0 if count == 0 else min(FIRST_BACKOFF_S * 2 ** (count - 1), LONGEST_BACKOFF_S)
    return FailureStatus(
        count=count,
        unserved=unserved,
        reason=reason,
        message=message,
        retry_at=None if blocked is not None or not pause else time_text(now + timedelta(seconds=pause)),
        blocked_generation=blocked,
    )


def _refused_by(seen: Observed, epoch: EpochStatus) -> Worker | None:
    """A worker that ended for a reason that the next epoch's would have as well."""
    for worker in seen.workers_of(epoch.number):
        if worker is not None and worker.report is not None and is_permanent(worker.report.reason):
            return worker
    return None


def is_permanent(reason: str) -> bool:
    """Whether a worker that ended for this reason would do so again in the next epoch."""
    try:
        return EndReason(reason).permanent
    except ValueError:
        return False


def _with_epoch(status: Status, epoch: EpochStatus, update: Mapping[str, object]) -> Status:
    return status.model_copy(update={"epoch": epoch.model_copy(update=update)})


# --- what to do -----------------------------------------------------------------------------------------------------


def act(model: SecureModel, status: Status, seen: Observed, now: datetime) -> Actions:
    """What to do while the status is as recorded; see `advance`."""
    epoch = status.epoch
    if epoch is None or epoch.phase is Phase.ENDED:
        return _between_epochs(model, status, seen, now)
    old = tuple(raw for raw in seen.children.values() if (number := _epoch_of(raw)) and number != epoch.number)
    if epoch.phase is not Phase.ENDING:
        return Actions(make=True, delete=old)
    workers = [w for w in seen.workers_of(epoch.number) if w is not None and not w.ended and not w.deleting]
    since = (now - time_of(epoch.ending_at)).total_seconds() if epoch.ending_at else 0.0
    waits = Ended(epoch.reason or Ended.WORKER_ENDED).by_themselves and since < END_S
    # One that has ended stays until the charge: what it said decides about the next epoch.
    sharing = seen.sharing_of(epoch.number)
    running = sharing is not None and not sharing.succeeded and not sharing.failed
    jobs = (seen.children["Job", sharing.name],) if sharing is not None and running else ()
    deadlines = (FORGOTTEN_S, END_S, LOST_S)
    again = next((deadline - since for deadline in deadlines if deadline > since), LOST_S)
    if waits:
        return Actions(delete=old, again_s=again)
    return Actions(end=tuple(workers), delete=(*old, *jobs), again_s=again)


def _between_epochs(model: SecureModel, status: Status, seen: Observed, now: datetime) -> Actions:
    held = hold(model, status, now)
    if held is Hold.QUOTA_REACHED:
        return Actions(delete=tuple(seen.children.values()))
    old = tuple(raw for raw in seen.children.values() if _epoch_of(raw) is not None)
    again = None
    if held is Hold.BACK_OFF and status.failures and status.failures.retry_at:
        again = max((time_of(status.failures.retry_at) - now).total_seconds(), 0.0) + 0.05
    return Actions(delete=old, again_s=again)


def _epoch_of(raw: Raw) -> int | None:
    text = (raw["metadata"].get("labels") or {}).get(EPOCH)
    # The Services select the workers of an epoch and carry no epoch of their own.
    return int(text) if text and text.isdigit() else None
