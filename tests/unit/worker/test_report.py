"""The final report and the receipt."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from triveni.api.termination import MAX_BYTES
from triveni.worker.config import Address, Config
from triveni.worker.quota import Count
from triveni.worker.report import Receipt, Report
from triveni.worker.state import Ending, EndReason

HERE = Address("127.0.0.1", 1)
CONFIG = Config(
    namespace="default",
    uid="uid",
    name="mnist",
    epoch=4,
    party=2,
    protocol="ABY3",
    grant=3,
    listen=HERE,
    peer_listen=HERE,
    peers={0: HERE, 1: HERE},
    credentials=Path("c"),
    report=Path("r"),
)


def report() -> Report:
    receipt = Receipt.of(CONFIG, "ab" * 32, 4096, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    ending = Ending(EndReason.QUOTA_REACHED, "all 3 granted requests were answered")
    return Report.of(CONFIG, Count(3, 3, 3), ending, runs=3, rounds=111, bytes_sent=5, receipt=receipt)


def test_the_report_says_what_was_answered_why_it_ended_and_what_was_erased(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    report().write(path)
    assert json.loads(path.read_text()) == {
        "epoch": 4,
        "party": 2,
        "admitted": 3,
        "answered": 3,
        "erased": True,
        "reason": "QuotaReached",
        "message": "all 3 granted requests were answered",
        "runs": 3,
        "rounds": 111,
        "bytes_sent": 5,
        "receipt": {
            "epoch": 4,
            "party": 2,
            "erased_at": "2026-01-02T03:04:05.000+00:00",
            "program_digest": "ab" * 32,
            "bytes_erased": 4096,
        },
    }
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_report_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("x" * 10_000)
    before = path.stat().st_ino
    report().write(path)
    assert path.stat().st_ino != before
    json.loads(path.read_text())


def test_a_file_that_cannot_be_replaced_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a Kubernetes termination message, which is a mount of its own."""

    def busy(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)
    path = tmp_path / "report.json"
    path.write_text("x" * 10_000)
    report().write(path)
    assert json.loads(path.read_text())["party"] == 2
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_size < 4096, "Kubernetes keeps no more of a termination message"


def test_a_report_in_a_directory_that_takes_no_other_file_is_written_in_place(tmp_path: Path) -> None:
    """As /dev of a container, for a user that is not root."""
    path = tmp_path / "termination-log"
    path.write_text("x" * 10_000)
    with path.open("r+b") as file:
        report().write(Path(f"/proc/self/fd/{file.fileno()}"))
    assert json.loads(path.read_text())["party"] == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_long_message_is_cut_so_that_kubernetes_keeps_the_whole_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    replace(report(), message="worker 1 is lost: " + "\0é" * 10_000).write(path)
    assert path.stat().st_size <= MAX_BYTES
    kept = json.loads(path.read_text())
    assert kept["message"].startswith("worker 1 is lost: \0é")
    assert kept["receipt"]["bytes_erased"] == 4096
