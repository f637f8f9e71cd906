"""The account of the request quota, as the status holds it."""

from __future__ import annotations

from datetime import datetime

from triveni.api.securemodel import SecureModel
from triveni.api.status import (
    ConditionType,
    Phase,
    QuotaStatus,
    Status,
    time_of,
)


def account(model: SecureModel, status: Status) -> QuotaStatus:
    """The quota's account under the quota of today's spec."""
    used, quota = charged(status), model.spec.request_quota
    return QuotaStatus(charged=used, remaining=None if quota is None else max(0, quota - used))


def charged(status: Status) -> int:
    """Requests charged to ended epochs."""
    return status.quota.charged if status.quota else 0


def finished_at(status: Status) -> datetime | None:
    """Since when the request quota has been reached and everything is charged; None if it is not."""
    reached = status.condition(ConditionType.QUOTA_REACHED)
    if status.epoch is None or status.epoch.phase is not Phase.ENDED or reached is None or reached.status != "True":
        return None
    return time_of(reached.last_transition_time)
