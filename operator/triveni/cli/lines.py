"""A run as JSON lines: an object for each event, with `event` and keys that docs and tests fix. For programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from triveni.cli.exit_codes import FAILED
from triveni.cli.output import json_line
from triveni.cli.view import CLIENT
from triveni.local.events import (
    CompanionEnded,
    EpochBegan,
    EpochEnded,
    Event,
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


class EventLines:
    """Takes the events of a run and prints them as they come. Plain Keras is not shown: whoever wants it has Keras."""

    def __init__(self) -> None:
        self.client_failed: tuple[str, int] | None = None

    def __call__(self, event: Event) -> None:
        """Print an event."""
        if isinstance(event, CompanionEnded) and event.name == CLIENT and event.code:
            self.client_failed = event.last_words or f"exit code {event.code}", max(event.code, FAILED)
        document = document_of(event)
        if document is not None:
            json_line(document)

    def finish(self) -> None:
        """Nothing waits."""

    def summary(self, summary: Summary) -> None:
        """Print what a run came to."""
        self(summary)


def document_of(event: Event) -> Mapping[str, Any] | None:
    """An event as JSON; None for those that are not shown."""
    match event:
        case EpochBegan(epoch, granted):
            return {"event": "epoch_began", "epoch": epoch, "granted": granted}
        case StepBegan(epoch, step):
            return {"event": "step_began", "epoch": epoch, "step": step}
        case StepEnded(epoch, step, seconds):
            return {"event": "step_ended", "epoch": epoch, "step": step, "seconds": round(seconds, 6)}
        case Fetching(epoch, done, total, problem):
            return {"event": "fetching", "epoch": epoch, "bytes": done, "total": total, "problem": problem}
        case Serving(epoch, connection, seconds):
            return {
                "event": "serving",
                "epoch": epoch,
                "connection": str(connection),
                "seconds": round(seconds, 6),
            }
        case Served(number):
            return {"event": "served", "number": number}
        case Said(name, line) if name == CLIENT:
            return {"event": "prediction", **json.loads(line)}
        case LogLine(name, line):
            return {"event": "log", "process": name, "line": line}
        case EpochEnded(charge, reports, why):
            return {
                "event": "epoch_ended",
                "epoch": charge.grant.epoch,
                "granted": charge.grant.rows,
                "charged": charge.rows,
                "why_charged": str(charge.why),
                "why_ended": why,
                "workers": [_worker(report) for report in reports],
            }
        case Retrying(seconds):
            return {"event": "retrying", "seconds": seconds}
        case Summary():
            return {
                "event": "summary",
                "served": event.served,
                "charged": event.ledger.charged,
                "quota": event.ledger.quota,
                "quota_reached": event.ledger.reached,
                "seconds": round(event.seconds, 6),
            }
        case _:
            return None


def _worker(report: WorkerReport | None) -> Mapping[str, Any] | None:
    """What a worker reported; None if it did not."""
    if report is None:
        return None
    receipt = report.receipt or {}
    return {
        "party": report.counts.party,
        "admitted": report.counts.admitted,
        "answered": report.counts.answered,
        "reason": report.counts.reason,
        "erased": report.erased,
        "bytes_erased": receipt.get("bytes_erased"),
        "erased_at": receipt.get("erased_at"),
        "runs": report.runs,
        "rounds": report.rounds,
        "bytes_sent": report.bytes_sent,
    }
