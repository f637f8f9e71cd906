"""The final report of a worker, as the runner reads it: a file that another process wrote, or did not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triveni.controller.quota import Report

MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker said when it ended: what the quota needs, and what a person wants to know."""

    counts: Report
    erased: bool
    message: str
    runs: int
    rounds: int
    bytes_sent: int
    receipt: Mapping[str, Any] | None


def read_report(path: Path) -> WorkerReport | None:
    """The report at `path`; None if there is none or it is not one."""
    document = _document(path)
    return report_of(document) if document is not None else None


def report_of(document: Mapping[str, Any]) -> WorkerReport | None:
    """The report that a JSON object is; None if it is not one."""
    numbers = [document.get(name) for name in ("epoch", "party", "admitted", "answered")]
    if any(type(number) is not int for number in numbers):
        return None
    epoch, party, admitted, answered = (int(number) for number in numbers if number is not None)
    receipt = document.get("receipt")
    return WorkerReport(
        Report(epoch, party, admitted, answered, str(document.get("reason", ""))),
        document.get("erased") is True,
        str(document.get("message") or ""),
        _count(document, "runs"),
        _count(document, "rounds"),
        _count(document, "bytes_sent"),
        receipt if isinstance(receipt, dict) else None,
    )


@dataclass(frozen=True, slots=True)
class SharingFailure:
    """Why the sharing process failed; `permanent` if it would fail again with the same model."""

    reason: str
    message: str
    permanent: bool


def read_sharing_failure(path: Path) -> SharingFailure | None:
    """What the sharing process reported at `path`; None if it reported no failure."""
    document = _document(path)
    reason, permanent = (document or {}).get("reason"), (document or {}).get("permanent")
    if not document or not isinstance(reason, str) or not isinstance(permanent, bool):
        return None
    return SharingFailure(reason, str(document.get("message") or reason), permanent)


def _count(document: Mapping[str, Any], name: str) -> int:
    value = document.get(name)
    return value if type(value) is int else 0


def _document(path: Path) -> Mapping[str, Any] | None:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
