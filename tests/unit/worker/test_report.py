"""The final report and the receipt."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from triveni.worker.config import Address, Config
from triveni.worker.quota import Count
from triveni.worker.report import MAX_BYTES, Receipt, Report
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


@pytest.mark.parametrize("character", ["x", '"', "é", "\U0001f512", "\0", "\ud800"])
def test_a_report_is_never_larger_than_a_termination_message_may_be(character: str) -> None:
    """Of a larger one Kubernetes keeps the end."""
    text = replace(report(), message="worker 1 is lost: " + character * 20_000).encoded()
    assert MAX_BYTES // 2 < len(text) <= MAX_BYTES
    kept = json.loads(text)["message"]
    assert kept.startswith(f"worker 1 is lost: {character}")
    assert kept.endswith(f"{character}...")


def test_a_report_that_fits_is_not_cut() -> None:
    room = MAX_BYTES - len(replace(report(), message="").encoded())
    full = replace(report(), message="x" * room)
    assert len(full.encoded()) == MAX_BYTES
    assert json.loads(full.encoded())["message"] == full.message
