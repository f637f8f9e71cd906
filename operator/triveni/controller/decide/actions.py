"""What to do while the status is as recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from triveni.api.securemodel import SecureModel
from triveni.api.status import (
    Phase,
    Status,
    time_of,
)
from triveni.controller.decide.ending import Ended
from triveni.controller.decide.failing import Hold, hold
from triveni.controller.decide.record import FORGOTTEN_S, LOST_S
from triveni.controller.objects.names import EPOCH
from triveni.controller.observed import Observed, Raw, Worker

END_S = 12.0
"""Seconds that workers have to end by themselves when one has: to notice, drain, erase and report."""

KILL_S = 45.0
"""Seconds after which the pod of a worker that was told to end, and has not, is deleted: its node is gone, most likely.
Longer than `END_S` and what a pod has to end in together."""


@dataclass(frozen=True, slots=True)
class Actions:
    """What to do now: make what is missing of the SecureModel and its epoch, tell workers to end, delete objects.

    `again_s` is when to look again even if nothing happens; None for never.
    """

    make: bool = False
    end: tuple[Worker, ...] = ()
    delete: tuple[Raw, ...] = ()
    again_s: float | None = None


def act(model: SecureModel, status: Status, seen: Observed, now: datetime) -> Actions:
    """What to do while the status is as recorded; see `advance`."""
    epoch = status.epoch
    if epoch is None or epoch.phase is Phase.ENDED:
        return _between_epochs(model, status, seen, now)
    old = tuple(raw for raw in seen.children.values() if (number := _epoch_of(raw)) and number != epoch.number)
    if epoch.phase is not Phase.ENDING:
        return Actions(make=True, delete=old)
    since = (now - time_of(epoch.ending_at)).total_seconds() if epoch.ending_at else 0.0
    waits = Ended(epoch.reason or Ended.WORKER_ENDED).by_themselves and since < END_S
    # One that has ended stays until the charge: what it said decides about the next epoch.
    sharing = seen.sharing_of(epoch.number)
    running = sharing is not None and not sharing.succeeded and not sharing.failed
    jobs = (seen.children["Job", sharing.name],) if sharing is not None and running else ()
    deadlines = (FORGOTTEN_S, END_S, KILL_S, LOST_S)
    again = next((deadline - since for deadline in deadlines if deadline > since), LOST_S)
    if waits:
        return Actions(delete=old, again_s=again)
    workers = [worker for worker in seen.workers_of(epoch.number) if worker is not None and not worker.ended]
    # A pod that is told to end stays, with its report, whoever dies meanwhile; one that is deleted takes it along. But
    # one that has no node yet hears nothing, and one whose node is gone will not answer.
    deaf = [worker for worker in workers if worker.node is None or since >= KILL_S]
    hearing = tuple(worker for worker in workers if worker not in deaf and not worker.told_to_end)
    pods = [seen.children["Pod", worker.name] for worker in deaf]
    return Actions(end=hearing, delete=(*old, *jobs, *pods), again_s=again)


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
