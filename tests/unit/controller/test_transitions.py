"""The events of a SecureModel, from one recorded status to the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from triveni.api.status import ChargeStatus, ConditionType, EpochStatus, Phase, Status, WorkerCharge
from triveni.controller.decide.conditions import Finding, merged
from triveni.controller.decide.transitions import Event, transitions

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def status(
    phase: Phase = Phase.SHARING, reason: str | None = None, findings: Mapping[ConditionType, Finding] | None = None
) -> Status:
    every = dict.fromkeys(ConditionType, Finding("Unknown", "NotLooked", "")) | dict(findings or {})
    epoch = EpochStatus(number=2, phase=phase, started_at="2026-01-01T00:00:00Z", model_hash="", reason=reason)
    return Status(epoch=epoch, conditions=merged((), every, 1, NOW))


def events(before: Status, after: Status) -> list[Event]:
    return list(transitions(before, after))


def test_a_reason_that_two_conditions_give_is_told_once_by_the_one_that_says_more() -> None:
    never = {
        ConditionType.WORKERS_READY: Finding("False", "RecoveryNever", "see the condition Shared"),
        ConditionType.SHARED: Finding("False", "RecoveryNever", "the pod of worker 1 was deleted"),
    }
    assert events(status(), status(findings=never)) == [
        Event("Warning", "RecoveryNever", "the pod of worker 1 was deleted")
    ]


@pytest.mark.parametrize(
    ("reason", "kind"), [("WorkerLost", "Warning"), ("SharingFailed", "Warning"), ("Suspended", "Normal")]
)
def test_an_end_that_nobody_asked_for_is_a_warning(reason: str, kind: str) -> None:
    (event,) = events(status(), status(Phase.ENDING, reason))
    assert (event.type, event.reason) == (kind, "EpochEnding")


@pytest.mark.parametrize(("answered", "kind"), [(None, "Warning"), (7, "Normal")])
def test_a_charge_that_no_worker_vouches_for_is_a_warning(answered: int | None, kind: str) -> None:
    workers = tuple(WorkerCharge(party=party, answered=answered) for party in range(3))
    charge = ChargeStatus(
        epoch=2, rows=7, why="a reason", ended="WorkerLost", at="2026-01-01T00:00:00Z", workers=workers
    )
    ended = status(Phase.ENDED, "WorkerLost").model_copy(update={"charges": (charge,)})
    assert events(status(Phase.ENDING, "WorkerLost"), ended) == [
        Event(kind, "EpochCharged", "epoch 2: 7 requests charged (a reason)")  # type: ignore[arg-type]
    ]
