"""The request quota: what each epoch may answer, and what it is charged when it ends.

Pure decisions over frozen data; whoever runs the workers (a cluster, one machine) stores the ledger and gathers the
reports. Rows of a batch count one each. The rules (design, section 5), whatever dies and whenever:

1. there are never more answers than the quota;
2. an answered request is charged exactly once;
3. an unanswered request is charged only if some worker had already released its share of the answer, or if all three
   workers vanished without a word (then what was granted to that epoch is charged, unless it is certain that not one
   share of the model had left whoever shares it: nothing can have been answered);
4. each worker counts for itself, and what one of them claims cannot raise or pass the grant;
5. a ledger in which an epoch is open has to be stored before a worker of that epoch can serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

PARTIES = 3


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says when it ends: requests `admitted` to be run, and answer shares released (`answered`)."""

    epoch: int
    party: int
    admitted: int
    answered: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What an epoch may answer; None is no limit."""

    epoch: int
    rows: int | None


class Why(StrEnum):
    """Why an epoch was charged what it was charged."""

    REPORTED = "the most answer shares that a worker released"
    CAPPED = "no more than was granted, whatever a worker claims"
    ALL_LOST = "no worker reported, so all that was granted counts as answered"
    ALL_LOST_UNLIMITED = "no worker reported, and there was no limit to charge"
    NEVER_SHARED = "no worker reported, but none was ever given a share of the model"


@dataclass(frozen=True, slots=True)
class Charge:
    """How one ended epoch was charged. `reports[p]` is None where worker p gave no report that can be used."""

    grant: Grant
    reports: tuple[Report | None, ...]
    rows: int
    why: Why

    def explain(self) -> tuple[str, ...]:
        """The charge line by line, for people."""
        granted = "no limit" if self.grant.rows is None else f"{self.grant.rows}"
        return (
            f"epoch {self.grant.epoch}: granted {granted}",
            *(_explain(party, report) for party, report in enumerate(self.reports)),
            f"  charged {self.rows}: {self.why}",
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """The quota's account. At most one epoch is open; its grant is not charged until it ends."""

    quota: int | None
    ended: tuple[Charge, ...] = ()
    open: Grant | None = None

    @property
    def charged(self) -> int:
        """Requests charged to ended epochs."""
        return sum(charge.rows for charge in self.ended)

    @property
    def remaining(self) -> int | None:
        """Requests that are not charged yet; None is no limit."""
        return None if self.quota is None else max(0, self.quota - self.charged)

    @property
    def epoch(self) -> int:
        """The number of the newest epoch, 0 before the first."""
        return self.open.epoch if self.open else self.ended[-1].grant.epoch if self.ended else 0

    @property
    def reached(self) -> bool:
        """Whether nothing remains to be granted."""
        return self.remaining == 0

    def start(self) -> Ledger:
        """Open the next epoch with a grant of all that remains.

        Raises:
            ValueError: an epoch is open already, or nothing remains.
        """
        if self.open or self.reached:
            raise ValueError("an epoch is open" if self.open else "the request quota is reached")
        return replace(self, open=Grant(self.epoch + 1, self.remaining))

    def end(self, reports: Sequence[Report | None], *, shared: bool = True) -> Ledger:
        """Charge the open epoch from what its workers reported; `shared` as in `charge`.

        Raises:
            ValueError: no epoch is open.
        """
        if not self.open:
            raise ValueError("no epoch is open")
        return replace(self, open=None, ended=(*self.ended, charge(self.open, reports, shared=shared)))

    def explain(self) -> tuple[str, ...]:
        """All charges line by line, and the total."""
        of = "no limit" if self.quota is None else f"a quota of {self.quota}"
        lines = [line for charge in self.ended for line in charge.explain()]
        return (*lines, f"charged in all: {self.charged} of {of}")


def charge(grant: Grant, reports: Sequence[Report | None], *, shared: bool = True) -> Charge:
    """The charge for an epoch: the most that a worker released, but never more than the grant.

    Args:
        grant: of the epoch.
        reports: by party. One of another epoch, in another party's place or with impossible numbers is no report.
        shared: False only if it is certain that nobody had begun to hand over shares.
    """
    usable = tuple(
        report if report and _fits(grant, party, report) else None
        for party, report in enumerate((*reports, None, None, None)[:PARTIES])
    )
    released = [report.answered for report in usable if report]
    if not released and not shared:
        return Charge(grant, usable, 0, Why.NEVER_SHARED)
    if not released:
        why = Why.ALL_LOST_UNLIMITED if grant.rows is None else Why.ALL_LOST
        return Charge(grant, usable, grant.rows or 0, why)
    most = max(released)
    if grant.rows is not None and most > grant.rows:
        return Charge(grant, usable, grant.rows, Why.CAPPED)
    return Charge(grant, usable, most, Why.REPORTED)


def _fits(grant: Grant, party: int, report: Report) -> bool:
    return report.epoch == grant.epoch and report.party == party and 0 <= report.answered <= report.admitted


def _explain(party: int, report: Report | None) -> str:
    if report is None:
        return f"  worker {party}: no report"
    reason = f" ({report.reason})" if report.reason else ""
    return f"  worker {party}: admitted {report.admitted}, answered {report.answered}{reason}"
