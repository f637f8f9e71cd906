"""A run in the foreground of a terminal: Ctrl-C, SIGTERM or a closed terminal end it at any moment, in order.

A second signal ends the processes at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass, field
from types import FrameType

from triveni.local.events import Summary, Tell
from triveni.local.runner import LocalRun, Plan

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(eq=False)
class Interrupted(Exception):
    """A signal ended the run; everything is cleaned up."""

    signal: signal.Signals

    def __str__(self) -> str:
        return f"interrupted by {self.signal.name}; everything is stopped and removed"


def keep_signals() -> None:
    """Keep signals that come from now on until `run_in_foreground` takes them.

    Python's own answer to Ctrl-C is an exception wherever it happens to be, and in a destructor, say, that is lost.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def run_in_foreground(plan: Plan, tell: Tell) -> Summary:
    """Run to the end.

    Raises:
        Interrupted: a signal came first. Signals are ignored from then on: there is nothing left to interrupt.
        Others: see `LocalRun.run`.
    """
    received = _Signals()
    # Not the event loop's own handlers: those are gone before the loop is.
    before = {number: signal.signal(number, received.on_signal) for number in SIGNALS}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        return asyncio.run(_run(plan, tell, received))
    except asyncio.CancelledError:
        raise Interrupted(received.numbers[0]) from None
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN if received.numbers else before[number])


@dataclass
class _Signals:
    """The signals that came; the first cancels the run, the others make its end quicker."""

    numbers: list[signal.Signals] = field(default_factory=list)
    run: LocalRun | None = None
    task: asyncio.Task[Summary] | None = None
    cancelled: bool = False

    def on_signal(self, number: int, _: FrameType | None) -> None:
        self.numbers.append(signal.Signals(number))
        if self.task is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it is over already
                self.task.get_loop().call_soon_threadsafe(self.act)

    def act(self) -> None:
        """In the event loop: do what the signals that have come mean."""
        if not self.numbers or self.task is None or self.run is None:
            return
        if not self.cancelled:
            self.cancelled = self.task.cancel()
        else:
            self.run.kill()


async def _run(plan: Plan, tell: Tell, received: _Signals) -> Summary:
    received.run = LocalRun(plan, tell)
    received.task = asyncio.create_task(received.run.run())
    received.act()
    return await received.task
