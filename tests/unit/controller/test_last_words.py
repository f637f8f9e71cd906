"""Whatever the workers of an epoch say at their end, the operator writes down what it charges, and goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fuzz.targets import charged_for

RECEIPT = {"epoch": 1, "party": 0, "erased_at": "2026-01-01T00:00:00+00:00", "program_digest": "ab", "bytes_erased": 9}

REPORT = {
    "epoch": 1,
    "party": 0,
    "admitted": 2,
    "answered": 2,
    "reason": "Terminated",
    "message": "",
    "receipt": RECEIPT,
}


def written(**change: Any) -> Any:
    return json.loads(charged_for(json.dumps(REPORT | change)))


def test_an_honest_report_is_charged_and_its_receipt_kept() -> None:
    status = written()
    assert status["quota"]["charged"] == 2
    assert status["receipts"] == [
        {"epoch": 1, "party": 0, "erasedAt": "2026-01-01T00:00:00.000Z", "programDigest": "ab", "bytesErased": 9}
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"bytes_erased": float("inf")},
        {"bytes_erased": -1},
        {"bytes_erased": 2**60},
        {"bytes_erased": "9"},
        {"epoch": True},
        {"erased_at": "yesterday"},
        {"erased_at": "9999-99-99T00:00:00Z"},
        {"erased_at": "0001-01-01T00:00:00+14:00"},
        {"erased_at": 7},
    ],
    ids=str,
)
def test_a_receipt_that_no_status_can_hold_is_none(change: dict[str, Any]) -> None:
    status = written(receipt=RECEIPT | change)
    assert status["quota"]["charged"] == 2
    assert status.get("receipts", []) == []


@pytest.mark.parametrize("count", [-1, 2**53, 2**70, 1.0, True, float("nan")])
def test_counts_that_no_status_can_hold_are_no_report(count: Any) -> None:
    status = written(answered=count)
    assert [worker.get("answered") for worker in status["charges"][0]["workers"]] == [None] * 3


@pytest.mark.parametrize("message", ["\ud800", "x" * 5000, "\0", 7, None, ["\ud800"]])
def test_a_message_that_is_no_text_is_written_as_one(message: Any) -> None:
    assert written(message=message, receipt=RECEIPT | {"program_digest": "\udfff"})["quota"]["charged"] == 2
