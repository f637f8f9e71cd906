"""What follows when epochs come to nothing: a pause that grows, and an end of it; and whatever else holds epochs up."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from triveni.api.securemodel import SecureModel
from triveni.api.status import (
    EpochStatus,
    FailureStatus,
    Status,
    time_of,
    time_text,
)
from triveni.controller.decide.account import account
from triveni.controller.decide.ending import Ended, last_words
from triveni.controller.observed import Observed, Worker
from triveni.controller.quota import Charge
from triveni.worker.state import EndReason

STABLE_S = 600.0
"""An epoch that lived as long as this was no failure, whether anybody asked for predictions or not."""

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 300.0

MAX_UNSERVED = 50
"""Epochs in a row that did not come to serve, after which the operator waits for a change of the spec: some four hours,
at the longest pause."""

MAX_BARREN = 100
"""The same for epochs without an answer."""


class Hold(StrEnum):
    """Why no epoch starts."""

    QUOTA_REACHED = "QuotaReached"
    SUSPENDED = "Suspended"
    RECOVERY_NEVER = "RecoveryNever"
    GAVE_UP = "GaveUp"
    REFUSED = "ModelRefused"
    BACK_OFF = "BackOff"


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


def after_epoch(
    model: SecureModel, status: Status, epoch: EpochStatus, bill: Charge, seen: Observed, now: datetime
) -> FailureStatus | None:
    """What the end of the epoch means for the next one; None if it was no failure."""
    ended = Ended(epoch.reason or Ended.WORKER_ENDED)
    if ended.asked_for:
        return None
    before = status.failures or FailureStatus(count=0, reason="", message="")
    sharing = seen.sharing_of(epoch.number)
    served = epoch.served
    stable = bill.rows > 0 or (served and now - time_of(epoch.started_at) > timedelta(seconds=STABLE_S))
    count = 0 if stable else before.count + 1
    unserved = 0 if served else before.unserved + 1
    reason, message = ended.value, epoch.message or ""
    if ended is Ended.SHARING_FAILED and sharing is not None and sharing.failure is not None:
        reason, message = sharing.failure.reason, sharing.failure.message
    refused = _refused_by(seen, epoch)
    if refused is not None:
        reason, message = refused.report.reason if refused.report else reason, last_words(refused)
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
    if count == 0 and unserved == 0 and blocked is None:
        return None
    pause = 0.0 if count == 0 else min(FIRST_BACKOFF_S * 2.0 ** min(count - 1, 20), LONGEST_BACKOFF_S)
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
