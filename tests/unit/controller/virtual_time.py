"""An event loop whose clock jumps to what happens next, so that minutes of waiting pass at once, in the right order."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NothingHappens(Exception):
    """Everything waits, and nothing will ever wake it."""


class _Jump(selectors.SelectSelector):
    """Instead of waiting for sockets, moves the clock on."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise NothingHappens
            self.now += timeout
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Begins at 0 seconds."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a scenario in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(scenario)


def elapsed() -> float:
    """Seconds since the scenario began."""
    return asyncio.get_running_loop().time()
