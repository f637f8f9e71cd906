"""The account of a SecureModel recounted, from the files that its workers left and from what its clients saw.

On purpose it shares no code with the ledger: it says what the rules say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.book import Book
from tests.chaos.wire import Wire


@dataclass(frozen=True)
class Audit:
    """What came out. `problems` are the rules that were broken, a sentence each.

    Attributes:
        epochs: that were granted something.
        charged: rows, over all epochs.
        lost: rows of those that were charged because nobody was left to say what was answered.
        unanswered: rows of the others that were charged, since a worker had released its share, and not answered.
        never_shared: epochs that ended without a report and before any share had left.
    """

    epochs: int
    charged: int
    lost: int
    unanswered: int
    never_shared: int
    problems: tuple[str, ...]


def audit(book: Book, wire: Wire) -> Audit:
    """Recount everything that has ended."""
    document = json.loads((book.folder / "ledger.json").read_text())
    left: int = book.setting["quota"]
    charged = lost = unanswered = never = 0
    problems: list[str] = []
    if document["open"]:
        problems.append(f"epoch {document['open']['epoch']} is still open at the end")
    for number, charge in enumerate(document["ended"], 1):
        grant, rows = charge["grant"], charge["rows"]
        reports = [_report(book.report(number, party)) for party in range(3)]
        said = [report["answered"] for report in reports if report]
        began, answered, possible = book.sharing_began(number), wire.answered(number), wire.possible(number)
        due = min(max(said), grant["rows"]) if said else grant["rows"] if began else 0
        if grant != {"epoch": number, "rows": left}:
            problems.append(f"epoch {number} was granted {grant}, with {left} left")
        if rows != due:
            problems.append(f"epoch {number} was charged {rows}, and {due} are due for {said} of {grant}, {began=}")
        if answered > rows:
            problems.append(f"epoch {number} was charged {rows}, and clients have {answered} answers of it")
        if said and rows > possible:
            problems.append(f"epoch {number} was charged {rows}, and its workers were asked for {possible} together")
        problems += _about_reports(number, grant["rows"], reports)
        problems += _about_grant(book, number, grant["rows"])
        charged += rows
        lost += 0 if said else rows
        unanswered += rows - answered if said else 0
        never += not said and not began
        left -= rows
    if left < 0:
        problems.append(f"{charged} rows were charged, {-left} more than the quota")
    if unknown := wire.epochs() - set(range(1, len(document["ended"]) + 1)):
        problems.append(f"clients were answered in the epochs {sorted(unknown)}, which the ledger does not know")
    return Audit(len(document["ended"]), charged, lost, unanswered, never, tuple(problems))


def _report(path: Path) -> dict[str, Any] | None:
    """The report of a worker, None if it left none. One that is there is whole: half a report is an error here."""
    return json.loads(path.read_text()) if path.exists() else None


def _about_reports(number: int, granted: int, reports: list[dict[str, Any] | None]) -> Iterator[str]:
    for party, report in enumerate(reports):
        if report is None:
            continue
        if (report["epoch"], report["party"]) != (number, party):
            yield f"worker {party} of epoch {number} left the report of another: {report}"
        if not report["answered"] <= report["admitted"] <= granted:
            yield f"worker {party} of epoch {number} passed its grant of {granted}: {report}"
        if not report["erased"]:
            yield f"worker {party} of epoch {number} ended without erasing: {report}"


def _about_grant(book: Book, number: int, granted: int) -> Iterator[str]:
    """Every worker that was started had the grant of the ledger."""
    for party in range(3):
        path = book.epoch(number) / f"worker-{party}.json"
        if path.exists() and (text := path.read_text()):
            with_grant = json.loads(text)["grant"]
            if with_grant != granted:
                yield f"worker {party} of epoch {number} was given {with_grant}, the ledger says {granted}"
