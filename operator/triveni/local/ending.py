"""Why an epoch ended: a pure reading of exit codes and reports."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from triveni.local.reports import SharingFailure, WorkerReport

PERMANENT = frozenset({"CompileFailed", "Unproven", "ProgramsDiffer", "InvalidConfig", "InvalidCredentials"})
"""Reasons of a worker that the next epoch's would have as well."""


class Cause(StrEnum):
    """Why an epoch ended."""

    QUOTA = "the request quota was reached"
    STOPPED = "the run was asked to stop"
    WORKER_LOST = "a worker ended"
    SHARING_FAILED = "sharing failed"
    REFUSED = "the model was refused"


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker that has ended: its exit code (negative: the signal that ended it) and what it left.

    `first` is whether it ended by itself, before the runner ended the others.
    """

    party: int
    code: int | None
    report: WorkerReport | None
    first: bool
    last_words: str = ""

    @property
    def signalled(self) -> bool:
        """Whether a signal ended it."""
        return self.code is not None and self.code < 0

    @property
    def reason(self) -> str:
        """Its own reason, empty without a report."""
        return self.report.counts.reason if self.report else ""

    def __str__(self) -> str:
        if self.code is not None and self.code < 0:
            return f"worker {self.party} was ended by {signal.Signals(-self.code).name}"
        if self.report:
            return f"worker {self.party} ended: {self.report.message or self.report.counts.reason}"
        return f"worker {self.party} ended with exit code {self.code}\n{self.last_words}".rstrip()


def why(
    workers: Sequence[Ended], *, stopped: bool, sharing_code: int | None, failure: SharingFailure | None, words: str
) -> tuple[Cause, str]:
    """The cause of an epoch's end, and the details in words (empty where the cause says it all).

    `stopped` is whether the runner was asked to end it; `failure` is what the sharing process reported and `words` the
    end of its log.
    """
    if any(worker.reason == "QuotaReached" for worker in workers):
        return Cause.QUOTA, ""
    if stopped:
        return Cause.STOPPED, ""
    ended = [worker for worker in workers if worker.first]
    signalled = [worker for worker in ended if worker.signalled]
    refusing = [worker for worker in ended if worker.reason in PERMANENT]
    if refusing:
        return Cause.REFUSED, "; ".join(map(str, refusing))
    peer_lost = any(worker.reason == "PeerLost" for worker in ended)
    if failure and failure.permanent and not signalled and not peer_lost:
        return Cause.REFUSED, failure.message
    if sharing_code and not ended:
        return Cause.SHARING_FAILED, failure.message if failure else words or f"exit code {sharing_code}"
    culprits = signalled or [worker for worker in ended if worker.reason != "PeerLost"] or ended
    return Cause.WORKER_LOST, "; ".join(map(str, culprits))
