"""A worker's report is what another process wrote: used if it can be, no report if it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from triveni.controller.quota import Report
from triveni.local.reports import SharingFailure, read_report, read_sharing_failure

WHOLE: dict[str, Any] = {
    "epoch": 2,
    "party": 1,
    "admitted": 5,
    "answered": 4,
    "erased": True,
    "reason": "PeerLost",
    "message": "worker 0 is gone",
    "rounds": 37,
    "bytes_sent": 1000,
    "receipt": {"bytes_erased": 3},
}


def test_a_report_is_read(tmp_path: Path) -> None:
    (tmp_path / "r").write_text(json.dumps(WHOLE))
    report = read_report(tmp_path / "r")
    assert report is not None
    assert report.counts == Report(2, 1, 5, 4, "PeerLost")
    assert (report.erased, report.rounds, report.bytes_sent, report.receipt) == (True, 37, 1000, {"bytes_erased": 3})


@pytest.mark.parametrize("change", [{"answered": "4"}, {"answered": True}, {"epoch": None}, {"party": 1.0}])
def test_a_report_with_a_wrong_count_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "r").write_text(json.dumps(WHOLE | change))
    assert read_report(tmp_path / "r") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"a"', "[" * 100_000])
def test_what_is_no_report_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "r").write_text(text)
    assert read_report(tmp_path / "r") is None
    assert read_sharing_failure(tmp_path / "r") is None


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    assert read_report(tmp_path / "r") is None
    assert read_sharing_failure(tmp_path / "r") is None


@pytest.mark.parametrize("permanent", [True, False])
def test_whether_a_failure_of_sharing_is_permanent_is_what_it_says_itself(tmp_path: Path, permanent: bool) -> None:
    document = {"reason": "WorkerRefused", "message": "no", "permanent": permanent}
    (tmp_path / "r").write_text(json.dumps(document))
    assert read_sharing_failure(tmp_path / "r") == SharingFailure("WorkerRefused", "no", permanent)


@pytest.mark.parametrize("change", [{"reason": 3}, {"permanent": None}, {"permanent": "yes"}])
def test_what_does_not_say_so_is_no_failure(tmp_path: Path, change: dict[str, Any]) -> None:
    document = {"reason": "WorkerRefused", "message": "no", "permanent": True}
    (tmp_path / "r").write_text(json.dumps(document | change))
    assert read_sharing_failure(tmp_path / "r") is None


def test_a_success_of_sharing_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "r").write_text(json.dumps({"reason": "Shared", "message": "done", "program_digest": "ab"}))
    assert read_sharing_failure(tmp_path / "r") is None
