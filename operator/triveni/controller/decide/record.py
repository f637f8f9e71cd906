"""What is recorded next of an epoch: its start, its steps, its end and its charge. One step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from triveni.api.securemodel import SecureModel
from triveni.api.status import (
    MAX_CHARGES,
    MOST,
    ChargeStatus,
    EpochStatus,
    Phase,
    QuotaStatus,
    ReceiptStatus,
    Status,
    WorkerCharge,
    time_of,
    time_text,
)
from triveni.controller.decide.account import account, charged
from triveni.controller.decide.ending import why_end
from triveni.controller.decide.failing import after_epoch, hold
from triveni.controller.objects import is_owners, parts_of_model
from triveni.controller.objects.names import owner_shares
from triveni.controller.observed import Observed, Worker
from triveni.controller.quota import Charge, Grant, Report, charge

FORGOTTEN_S = 5.0
"""Seconds that a pod that is gone has for its last words to come in: they travel by another way than its absence."""

LOST_S = 60.0
"""Seconds after which a worker that was told to end and does not (its node is gone) is counted as lost. It can answer
nothing: its peers have ended."""


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
    if (end := why_end(model, status, epoch, seen, authority, now)) is not None:
        reason, message = end
        update = {"phase": Phase.ENDING, "ending_at": time_text(now), "reason": reason.value, "message": message}
        return _with_epoch(status, epoch, update)
    exist = all(worker is not None for worker in workers)
    run = all(worker is not None and worker.running for worker in workers)
    if epoch.phase is Phase.STARTING and exist:
        return _advanced(status, epoch, Phase.STARTED, authority=authority)
    if epoch.phase is Phase.STARTED and run and (not is_owners(model) or owner_shares(model, epoch.number)):
        return _advanced(status, epoch, Phase.SHARING)
    if epoch.phase is Phase.SHARING and seen.serves(epoch.number):
        return _advanced(status, epoch, Phase.SERVING)
    return status


def _is_over(worker: Worker | None, since: float) -> bool:
    """Whether nothing more is to be heard of a worker, `since` seconds after its epoch began to end."""
    if worker is None:
        return since >= FORGOTTEN_S
    return worker.ended or (worker.deleting and since >= LOST_S)


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
    bill = charge(Grant(epoch.number, epoch.grant), reports, shared=epoch.may_have_answered)
    # Without a limit a worker may claim any number.
    quota = QuotaStatus(charged=min(charged(status) + bill.rows, MOST))
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
        "failures": after_epoch(model, status, epoch, bill, seen, now),
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


def _advanced(status: Status, epoch: EpochStatus, phase: Phase, **update: object) -> Status:
    return _with_epoch(status, epoch, {"phase": phase, "reached": phase, **update})


def _with_epoch(status: Status, epoch: EpochStatus, update: Mapping[str, object]) -> Status:
    return status.model_copy(update={"epoch": epoch.model_copy(update=update)})
