"""The engine thread's work: worker 0 gives orders, all three run them, until the quota is reached or something ends.

Blocking, on one thread, which alone uses the machine and the data links. `stop` and `wake` may be called from others.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from triveni.mpc.execute.machine import Links, PeerLost, Statistics
from triveni.worker import frame, order, plan
from triveni.worker.admission import Words
from triveni.worker.desk import LEADER, Desk, Work
from triveni.worker.links import DataLinks
from triveni.worker.order import Command, InvalidOrder, Order, Progress
from triveni.worker.quota import OrderBeyondGrant
from triveni.worker.state import Ending, EndReason

LATENCIES_KEPT = 1000


class Runs(Protocol):
    """What the engine needs of `triveni.mpc.execute.machine.Machine`."""

    @property
    def statistics(self) -> Statistics:
        """What has been done so far."""

    def ahead(self, run: int, rows: int, links: Links) -> None:
        """The part of a run that needs no request."""

    def online(self, run: int, rows: int, x: tuple[Words, ...], links: Links) -> tuple[Words, ...]:
        """The part of a run that does."""


class Engine:
    """The engine of one worker. `running` says whether an order is being carried out."""

    def __init__(self, party: int, machine: Runs, links: DataLinks, desk: Desk, max_rows: int) -> None:
        self._party = party
        self._machine = machine
        self._links = links
        self._desk = desk
        self._max_rows = max_rows
        self._progress = Progress()
        self._rows_before = 0
        self._stop: Ending | None = None
        self._idle = False
        self.running = False
        self._latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def serve(self) -> Ending:
        """Run until it ends; why it did. Whatever it does not expect is raised."""
        try:
            return self._lead() if self._party == LEADER else self._follow()
        except PeerLost as error:
            if self._desk.count.reached:  # all is answered: nobody is missed any more
                return self._quota_reached()
            return self._stop or Ending(EndReason.PEER_LOST, str(error))
        except OrderBeyondGrant as error:
            return Ending(EndReason.ORDER_BEYOND_GRANT, str(error))
        except (InvalidOrder, frame.InvalidFrame) as error:
            return Ending(EndReason.INVALID_ORDER, str(error))

    def stop(self, ending: Ending) -> None:
        """End after the current run; from any thread."""
        self._stop = ending
        self._links.wake()

    def wake(self) -> None:
        """There may be something to run; from any thread."""
        if self._idle:
            self._links.wake()

    def latency_ms(self) -> Mapping[str, float]:
        """Percentiles over the latest runs, from the last share's arrival (at workers 1 and 2: the order's) to the end.

        The end is when the answers are handed over to be sent.
        """
        latencies = sorted(self._latencies)
        if not latencies:
            return {}
        at = {name: min(len(latencies) - 1, len(latencies) * part // 100) for name, part in _PERCENTILES.items()}
        return {name: round(latencies[position] * 1000, 3) for name, position in at.items()}

    def _lead(self) -> Ending:
        quiet_since = time.monotonic()
        while True:
            if self._stop is not None:
                self._command(Order(Command.END, reason=self._stop.reason.value))
                return self._stop
            work = self._desk.take_batch(self._max_rows) if self._desk.all_loaded else None
            if work is not None:
                self._command(plan.run(self._progress, work.keys, work.rows), work)
                if self._desk.count.reached:
                    self._command(Order(Command.END, reason=EndReason.QUOTA_REACHED.value))
                    return self._quota_reached()
                quiet_since = time.monotonic()
                continue
            wait_s = self._until_preparing(quiet_since)
            if wait_s is not None and wait_s <= 0:
                self._command(plan.prepare(self._progress))
                continue
            self._wait_for_work(wait_s)

    def _until_preparing(self, quiet_since: float) -> float | None:
        any_quota = self._desk.all_loaded and self._desk.count.can_admit(1)
        after = plan.prepare_after(self._progress, self._rows_before, any_quota=any_quota)
        return None if after is None else quiet_since + after - time.monotonic()

    def _wait_for_work(self, timeout_s: float | None) -> None:
        self._idle = True  # before looking again: whoever comes later wakes us
        if self._stop is None and not self._desk.has_work:
            self._links.idle(None, timeout_s)
        self._idle = False

    def _command(self, given: Order, work: Work | None = None) -> None:
        """Tell the others, then do it."""
        progress = self._progress.after(given, self._max_rows)
        data = memoryview(order.encode(given))
        for peer in self._links.peers:
            self._links.send(peer, data)
        self._execute(given, work)
        self._progress = progress

    def _follow(self) -> Ending:
        while True:
            # An order that is here already is carried out even at the end: worker 0 may have released its answer.
            if not self._links.idle(LEADER, None if self._stop is None else 0.0):
                if self._stop is not None:
                    return self._stop
                continue
            given = self._next_order()
            if given.command is Command.END:
                return self._ended_by_leader(given)
            progress = self._progress.after(given, self._max_rows)
            work = self._desk.take_ordered(given.requests, given.rows) if given.command is Command.RUN else None
            self._execute(given, work)
            self._progress = progress
            if self._desk.count.reached:
                return self._quota_reached()

    def _next_order(self) -> Order:
        size = frame.length(self._links.receive(LEADER, frame.LENGTH_BYTES))
        return order.decode(frame.decode(self._links.receive(LEADER, size)))

    def _execute(self, given: Order, work: Work | None) -> None:
        self.running = True
        try:
            self._carry_out(given, work)
        finally:
            self.running = False

    def _carry_out(self, given: Order, work: Work | None) -> None:
        run, rows = given.run, given.rows
        if given.command is Command.PREPARE:
            self._machine.ahead(run, rows, self._links)
        elif work is not None:
            if self._progress.prepared is None or self._progress.prepared.run != run:
                self._machine.ahead(run, rows, self._links)
            answer = self._machine.online(run, rows, work.inputs(), self._links)
            # Others may need what was sent to complete the run as well: only then may an answer leave.
            self._links.flush()
            self._desk.release(work, answer)
            self._latencies.append(time.monotonic() - work.complete_at)
            self._rows_before = rows
        self._links.flush()
        self._links.require_unbroken()

    def _ended_by_leader(self, given: Order) -> Ending:
        if given.reason == EndReason.QUOTA_REACHED:
            return Ending(EndReason.QUOTA_REACHED, "worker 0 says that its request quota is reached")
        return self._stop or Ending(EndReason.PEER_LOST, f"worker 0 ended: {given.reason[:100]}")

    def _quota_reached(self) -> Ending:
        return Ending(EndReason.QUOTA_REACHED, f"all {self._desk.count.grant} granted requests were answered")


_PERCENTILES: Mapping[str, int] = {"p50": 50, "p90": 90, "p99": 99}
