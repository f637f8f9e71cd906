"""What worker 0 orders next: pure, from what has been run and what waits.

The work of a run that needs no request is done before the request is there, where that is likely to help: for a single
row, since a client that asks for one answer after the other waits for each. Under load requests of changing number run
together, and work done ahead for one row would be thrown away; so then it is done only once the worker is idle.
"""

from __future__ import annotations

from triveni.worker.order import Command, Order, Progress

ROWS_AHEAD = 1

SETTLE_S = 0.02
"""After a run of several rows, how long it has to be quiet before the next run is prepared, in seconds."""


def run(progress: Progress, requests: tuple[str, ...], rows: int) -> Order:
    """The order to run these requests: the prepared run if it has as many rows, a new one otherwise."""
    prepared = progress.prepared
    number = prepared.run if prepared is not None and prepared.rows == rows else progress.last_run + 1
    return Order(Command.RUN, number, rows, requests)


def prepare(progress: Progress) -> Order:
    """The order to prepare the next run."""
    return Order(Command.PREPARE, progress.last_run + 1, ROWS_AHEAD)


def prepare_after(progress: Progress, rows_before: int, *, any_quota: bool) -> float | None:
    """Seconds of quiet after which to prepare the next run; None if there is nothing to prepare.

    `rows_before` is the number of rows of the last run (0: none yet); `any_quota` whether another row may be admitted.
    """
    if progress.prepared is not None or not any_quota:
        return None
    return 0.0 if rows_before <= ROWS_AHEAD else SETTLE_S
