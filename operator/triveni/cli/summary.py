"""A run's summary, as lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from triveni.local.events import Summary
from triveni.local.reports import WorkerReport

PERCENTILES = (50, 95, 99)


def lines(summary: Summary, client_seconds: Sequence[float]) -> Iterator[str]:
    """The summary for people.

    Args:
        summary: of the run.
        client_seconds: how long each prediction took, from the call to the revealed answer, if this run asked itself.
    """
    ledger = summary.ledger
    end = "Request quota reached" if ledger.reached else "Ended"
    yield f"{end}: {summary.served} answered in {summary.seconds:.1f} s."
    yield from (f"  {line}" for line in ledger.explain())
    if client_seconds:
        yield f"  latency, client    {_latency(client_seconds)} (from the call to the answer)"
    if summary.last_status[0] and (engine := summary.last_status[0].get("latency_ms")):
        yield f"  latency, engine    {_engine_latency(engine)} (from the last share to the answer)"
    reports = [report for epoch in summary.epochs for report in epoch.reports if report]
    yield from _engine(reports)
    yield from _receipts(reports)


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` % of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _latency(seconds: Sequence[float]) -> str:
    return ", ".join(f"p{p} {percentile(seconds, p) * 1000:.1f} ms" for p in PERCENTILES)


def _engine_latency(percentiles: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in percentiles.items())


def _engine(reports: Sequence[WorkerReport]) -> Iterator[str]:
    """Rounds are those of one worker in each epoch, since all take part in every round; bytes are those of all."""
    longest = {report.counts.epoch: report for report in sorted(reports, key=lambda report: report.rounds)}
    runs = sum(report.runs for report in longest.values())
    rounds = sum(report.rounds for report in longest.values())
    if runs:
        yield f"  rounds             {rounds} in {runs} runs"
    sent = sum(report.bytes_sent for report in reports)
    yield f"  on the wire        {sent / 1e6:.2f} MB between the workers that reported"


def _receipts(reports: Sequence[WorkerReport]) -> Iterator[str]:
    for report in reports:
        counts = report.counts
        who = f"worker {counts.party} of epoch {counts.epoch}"
        receipt: dict[str, Any] = dict(report.receipt or {})
        if receipt:
            yield f"  erased             {who}: {receipt.get('bytes_erased')} bytes at {receipt.get('erased_at')}"
        if not report.erased:
            yield f"  NOT ERASED         {who}, by its own word"
