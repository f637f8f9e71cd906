"""The status is written as Kubernetes writes such things, and read back whoever wrote it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from triveni.api.status import Condition, ConditionType, EpochStatus, Phase, QuotaStatus, Status, time_of, time_text

AT = "2026-03-04T05:06:07.000Z"

CONDITION: dict[str, Any] = {
    "type": "Ready",
    "status": "True",
    "reason": "Serving",
    "message": "epoch 2 answers requests",
    "lastTransitionTime": AT,
    "observedGeneration": 3,
}

WHOLE: dict[str, Any] = {
    "observedGeneration": 3,
    "conditions": [CONDITION],
    "served": 4,
    "epoch": {"number": 2, "grant": 6, "phase": "Sharing", "startedAt": AT, "reached": "Sharing", "modelHash": "ab"},
    "quota": {"charged": 4, "remaining": 6},
    "failures": {"count": 1, "unserved": 0, "retryAt": AT, "reason": "WorkerLost", "message": "worker 1 is gone"},
    "charges": [
        {
            "epoch": 1,
            "granted": 10,
            "rows": 4,
            "why": "the most answer shares that a worker released",
            "ended": "WorkerLost",
            "at": AT,
            "workers": [{"party": 0, "admitted": 5, "answered": 4, "reason": "PeerLost"}, {"party": 1}, {"party": 2}],
        }
    ],
    "receipts": [{"epoch": 1, "party": 0, "erasedAt": AT, "programDigest": "cd", "bytesErased": 100}],
    "clientSecret": "mnist-client",
}


def test_it_is_written_as_it_is_read() -> None:
    assert Status.read(WHOLE).wire() == WHOLE


@pytest.mark.parametrize("nothing", [None, {}])
def test_an_object_without_one_has_the_empty_status(nothing: object) -> None:
    assert Status.read(nothing) == Status()


def test_what_a_newer_operator_has_written_is_passed_over() -> None:
    newer = {**WHOLE, "weather": "fine", "quota": {**WHOLE["quota"], "reserved": 2}}
    assert Status.read(newer) == Status.read(WHOLE)


def test_what_is_not_known_is_left_out_and_no_limit_is_not_zero() -> None:
    epoch = EpochStatus(number=1, grant=None, phase=Phase.STARTING, started_at=AT, model_hash="ab")
    written = Status(epoch=epoch, quota=QuotaStatus(charged=0, remaining=0)).wire()
    assert "grant" not in written["epoch"]
    assert written["quota"] == {"charged": 0, "remaining": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "Maybe"},
        {"reason": "not one word"},
        {"reason": ""},
        {"lastTransitionTime": "yesterday"},
        {"type": "Colour"},
        {"message": None},
    ],
)
def test_a_condition_is_one_of_kubernetes(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Condition.model_validate(CONDITION | change)


def test_a_condition_is_found_by_its_type() -> None:
    status = Status.read(WHOLE)
    found = status.condition(ConditionType.READY)
    assert found is not None
    assert found.reason == "Serving"
    assert status.condition(ConditionType.SHARED) is None


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 4, 5, 6, 7, 891_234, tzinfo=UTC), "2026-03-04T05:06:07.891Z"),
        (datetime(2026, 3, 4, 7, 6, 7, tzinfo=timezone(timedelta(hours=2))), "2026-03-04T05:06:07.000Z"),
    ],
)
def test_a_time_is_written_in_utc_and_read_back(moment: datetime, text: str) -> None:
    assert time_text(moment) == text
    assert abs(time_of(text) - moment) < timedelta(milliseconds=1)
