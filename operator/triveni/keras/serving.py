"""Serving a shared model to a limit: epoch after epoch, each charged from its reports, until nothing remains.

One `serve` is a quota of its own in the ledger of its cluster, whose epochs are never numbered twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from triveni.controller.quota import Ledger, Report
from triveni.keras.epoch import Epoch, Setting, Told
from triveni.keras.errors import ServingFailed
from triveni.keras.offer import Offer
from triveni.local.ending import Cause
from triveni.local.epoch import EpochEnd
from triveni.local.runner import ModelRefused, NoProgress, RunFailed, next_epoch

Say = Callable[[str], None]


@dataclass
class Account:
    """What the epochs of a cluster were granted and charged, from its start to its stop."""

    ledger: Ledger = field(default_factory=lambda: Ledger(0))

    def grant(self, num_requests: int | None) -> None:
        """`num_requests` more may be answered (None: no limit); what was charged stays charged."""
        self.ledger = replace(self.ledger, quota=None if num_requests is None else self.ledger.charged + num_requests)


class Serving:
    """One `serve` on the three hosts of a cluster; `run` it once."""

    def __init__(self, setting: Setting, offer: Offer, protocol: str, account: Account, say: Say) -> None:
        self._setting, self._offer, self._protocol, self._account, self._say = setting, offer, protocol, account, say
        self._served = 0

    async def run(self, stop: asyncio.Event) -> int:
        """Serve what the account has left, or until `stop` is set; how many requests were answered.

        Says when clients can ask, and 'Served encrypted prediction N to client.' for each request, from 1.

        Raises:
            ServingFailed: it cannot go on.
        """
        barren = unserved = 0
        while True:
            end = await self._epoch(stop)
            ledger = self._account.ledger
            barren = 0 if ledger.ended[-1].rows else barren + 1
            unserved = 0 if end.reached_serving else unserved + 1
            try:
                pause = next_epoch(ledger, end, barren, unserved, "Reshare", stopped=stop.is_set())
            except RunFailed as error:
                raise ServingFailed(_words(error, end), self._served) from error
            if pause is None:
                if all(report and report.erased for report in end.reports):
                    self._say(f"{_ended(end)}: the workers have erased their shares.")
                return self._served
            self._say(f"{_why(end)}. Sharing again.")
            await _sleep(stop, pause)
            if stop.is_set():
                return self._served

    async def _epoch(self, stop: asyncio.Event) -> EpochEnd:
        """Open an epoch in the ledger, run it, charge it: whatever happens, its number is used up."""
        ledger = self._account.ledger.start()
        assert ledger.open
        before = self._served

        def served(answered: int) -> None:
            while self._served < before + answered:
                self._served += 1
                self._say(f"Served encrypted prediction {self._served} to client.")

        told = Told(lambda: self._say(serves(ledger.open.rows if ledger.open else None)), served)
        reports: tuple[Report | None, ...] = ()
        shared = True
        try:
            end = await Epoch(self._setting, ledger.open, self._offer, self._protocol, told).run(stop)
            reports = tuple(report.counts if report else None for report in end.reports)
            shared = end.shared
        finally:
            self._account.ledger = ledger.end(reports, shared=shared)
        return end


def serves(rows: int | None) -> str:
    """That clients can ask now."""
    limit = "any number of requests is" if rows is None else "1 request is" if rows == 1 else f"{rows} requests are"
    return f"Three workers hold their shares of the model; {limit} answered."


def _ended(end: EpochEnd) -> str:
    return "Request limit reached" if end.cause is Cause.QUOTA else "Serving stopped"


def _words(error: RunFailed, end: EpochEnd) -> str:
    """The runner's error, without what only its command line has."""
    if isinstance(error, NoProgress):
        return f"gave up after {error.epochs} epochs without {error.what}. The last: {error.why}"
    return error.problem if isinstance(error, ModelRefused) else _why(end)


def _why(end: EpochEnd) -> str:
    return f"Epoch ended, {end.cause}: {end.detail}" if end.detail else f"Epoch ended, {end.cause}"


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([waiting], timeout=seconds)
    waiting.cancel()
