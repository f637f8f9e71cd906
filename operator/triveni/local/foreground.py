"""A run in the foreground of a terminal: Ctrl-C, SIGTERM or a closed terminal end it at any moment, in order.

A second signal ends the processes at once.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass

from triveni.local.events import Summary, Tell
from triveni.local.runner import LocalRun, Plan

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(eq=False)
class Interrupted(Exception):
    """A signal ended the run; everything is cleaned up."""

    signal: signal.Signals

    def __str__(self) -> str:
        return f"interrupted by {self.signal.name}; everything is stopped and removed"


def run_in_foreground(plan: Plan, tell: Tell) -> Summary:
    """Run to the end.

    Raises:
        Interrupted: a signal came first.
        Others: see `LocalRun.run`.
    """
    return asyncio.run(_run(plan, tell))


async def _run(plan: Plan, tell: Tell) -> Summary:
    loop = asyncio.get_running_loop()
    run = LocalRun(plan, tell)
    task = asyncio.create_task(run.run())
    received: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        if not received:
            task.cancel()
        else:
            run.kill()
        received.append(number)

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise Interrupted(received[0]) from None
        raise
