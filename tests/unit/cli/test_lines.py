"""`triveni run --json`: an object a line for each event, with the keys that programs may rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from triveni.cli.lines import EventLines, document_of
from triveni.controller.quota import Grant, Ledger, Report, charge
from triveni.local.events import (
    CompanionEnded,
    EpochBegan,
    EpochEnded,
    Fetching,
    LogLine,
    Retrying,
    Said,
    Served,
    Serving,
    StepBegan,
    StepEnded,
    Summary,
)
from triveni.local.reports import WorkerReport

COUNTS = Report(1, 0, 3, 3, "QuotaReached")
REPORT = WorkerReport(COUNTS, True, "", 3, 111, 750, {"bytes_erased": 99, "erased_at": "12:00"})
ENDED = EpochEnded(charge(Grant(1, 3), [COUNTS, None, None]), (REPORT, None, None), "the request quota was reached")


def test_every_event_has_its_keys() -> None:
    ledger = Ledger(3).start().end([COUNTS, None, None])
    worker = {"party": 0, "admitted": 3, "answered": 3, "reason": "QuotaReached", "erased": True, "bytes_erased": 99}
    worker |= {"erased_at": "12:00", "runs": 3, "rounds": 111, "bytes_sent": 750}
    ended = {"event": "epoch_ended", "epoch": 1, "granted": 3, "charged": 3}
    ended |= {"why_charged": "the most answer shares that a worker released"}
    ended |= {"why_ended": "the request quota was reached", "workers": [worker, None, None]}
    expected = [
        (EpochBegan(1, 3), {"event": "epoch_began", "epoch": 1, "granted": 3}),
        (StepBegan(1, "x"), {"event": "step_began", "epoch": 1, "step": "x"}),
        (StepEnded(1, "x", 0.5), {"event": "step_ended", "epoch": 1, "step": "x", "seconds": 0.5}),
        (Serving(1, Path("c"), 2.0), {"event": "serving", "epoch": 1, "connection": "c", "seconds": 2.0}),
        (Fetching(1, 5, 9), {"event": "fetching", "epoch": 1, "bytes": 5, "total": 9, "problem": None}),
        (Served(7), {"event": "served", "number": 7}),
        (Said("client", '{"index": 0}'), {"event": "prediction", "index": 0}),
        (Said("keras", '{"index": 0}'), None),
        (LogLine("worker 0", "{}"), {"event": "log", "process": "worker 0", "line": "{}"}),
        (Retrying(0.25), {"event": "retrying", "seconds": 0.25}),
        (CompanionEnded("client", 0, ""), None),
        (ENDED, ended),
        (
            Summary(ledger, 3, (ENDED,), 4.5, (None, None, None)),
            {"event": "summary", "served": 3, "charged": 3, "quota": 3, "quota_reached": True, "seconds": 4.5},
        ),
    ]
    assert [document_of(event) for event, _ in expected] == [document for _, document in expected]


def test_they_are_printed_as_they_come_and_a_client_that_failed_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    lines = EventLines()
    lines(Served(1))
    lines(CompanionEnded("client", 4, "triveni: request quota reached"))
    lines.finish()
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"event": "served", "number": 1}]
    assert lines.client_failed == ("triveni: request quota reached", 4)
