"""Why an epoch ends."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from triveni.api.securemodel import SecureModel
from triveni.api.status import (
    EpochStatus,
    Phase,
    Status,
    time_of,
)
from triveni.controller.decide.account import account
from triveni.controller.objects import parts_of_model
from triveni.controller.observed import Observed, Worker
from triveni.identity.authority import RENEW_AFTER
from triveni.worker.state import EndReason


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
    CERTIFICATES_EXPIRE = "CertificatesExpire"

    @property
    def asked_for(self) -> bool:
        """Whether it is what somebody wants, and no failure."""
        return self in _ASKED_FOR

    @property
    def by_themselves(self) -> bool:
        """Whether the workers notice by themselves, so that they are given time before they are told to end."""
        return self in (Ended.QUOTA_REACHED, Ended.WORKER_ENDED, Ended.WORKER_LOST)


_ASKED_FOR = frozenset(
    {
        Ended.QUOTA_REACHED,
        Ended.SUSPENDED,
        Ended.SPEC_CHANGED,
        Ended.QUOTA_CHANGED,
        Ended.AUTHORITY_REPLACED,
        Ended.CERTIFICATES_EXPIRE,
    }
)


def why_end(
    model: SecureModel, status: Status, epoch: EpochStatus, seen: Observed, authority: str | None, now: datetime
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
    sharing = seen.sharing_of(epoch.number)
    if epoch.phase is Phase.SHARING and sharing is not None and sharing.failed:
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
    if now - time_of(epoch.started_at) > RENEW_AFTER:
        return Ended.CERTIFICATES_EXPIRE, "its certificates come to their end; a new epoch gets new ones"
    return None


def _why_ended(ended: list[Worker]) -> str:
    """About the workers that ended first: those that did not end because of another."""
    causes = [w for w in ended if not (w.report and w.report.reason == EndReason.PEER_LOST)] or ended
    return "; ".join(f"worker {worker.party} ended: {last_words(worker)}" for worker in causes)


def last_words(worker: Worker) -> str:
    """What a worker that has ended said, or what is known of its end."""
    if worker.report:
        return worker.message or worker.report.reason
    return str(worker.problem or "its pod is gone, without a word")
